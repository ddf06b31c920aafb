"""Tokenizers for texts: byte-level BPE trained on the training split, or the one that a pretrained folder brings.

A tokenizer is kept and handed on as the bytes of its `tokenizer.json`, with truncation and padding inside: whoever
loads these bytes (training, compression, the serving node) cuts and pads alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from model_code.errors import InputError

PAD, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"


def train_bpe(texts: Iterable[str], *, vocabulary: int, max_tokens: int) -> bytes:
    """Return a lower-casing byte-level BPE tokenizer trained on texts, as the bytes of its tokenizer.json.

    Byte-level BPE rather than WordPiece: the same texts always give the same tokenizer (`tokenizers` trains WordPiece
    in the order of a randomly seeded hash map), and no character is unknown to it.

    Args:
        texts: the training split's texts, and no other split's.
        vocabulary: most tokens that it may have, 260 or more; small data gives fewer.
        max_tokens: longest sequence, with [CLS] and [SEP].
    """
    from tokenizers.models import BPE
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.processors import TemplateProcessing
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[PAD, UNKNOWN, FIRST, LAST],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{FIRST} $A {LAST}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (FIRST, LAST)],
    )
    return _limited(tokenizer, PAD, max_tokens)


def from_pretrained(name: str, *, max_tokens: int) -> bytes:
    """Return the tokenizer of a pretrained folder or hub name, set to cut at `max_tokens`.

    Raises:
        InputError: there is no tokenizer.json.
    """
    local = Path(name).expanduser() / "tokenizer.json"
    try:
        tokenizer = (
            Tokenizer.from_file(str(local)) if local.parent.is_dir() else Tokenizer.from_pretrained(name)
        )
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception for anything, from 404 to bad JSON
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"model.pretrained `{name}` has no readable tokenizer.json: {first}; save one there with "
            "`AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER)`"
        ) from None
    padding = tokenizer.padding or {}
    names = [padding.get("pad_token"), PAD, "<pad>", "<|endoftext|>", "</s>"]
    pad = next((n for n in names if n is not None and tokenizer.token_to_id(n) is not None), None)
    if pad is None:
        raise InputError(
            f"model.pretrained `{name}` has a tokenizer.json without a padding token; add [PAD] to it"
        )
    return _limited(tokenizer, pad, max_tokens)


@lru_cache(maxsize=8)
def load(tokenizer_json: bytes) -> Tokenizer:
    """Return the tokenizer that these bytes of a tokenizer.json describe; it must not be changed.

    Raises:
        InputError: they describe none.
    """
    # Processes started later (loaders, workers) would otherwise warn about forking after its threads started.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return Tokenizer.from_str(tokenizer_json.decode())
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise InputError(f"tokenizer.json cannot be read: {error}; prepare the data or train again") from None


def byte_lengths(tokenizer_json: bytes) -> list[int]:
    """Return how many bytes of text each token of a byte-level tokenizer stands for; special tokens stand for none.

    Byte-level BPE writes each byte as one printable character, so a token has as many bytes as characters.
    """
    tokenizer = load(tokenizer_json)
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    return [0 if number in special else len(tokenizer.id_to_token(number) or "") for number in range(size)]


def _limited(tokenizer: Tokenizer, pad: str, max_tokens: int) -> bytes:
    tokenizer.enable_truncation(max_length=max_tokens)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad), pad_token=pad)
    return tokenizer.to_str().encode()
