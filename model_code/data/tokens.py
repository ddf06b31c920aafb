"""Any text becomes blocks of tokens; the tokenizer (byte-level BPE) is trained on the training split only.

The text is cut into chunks of a few KB at line ends, and a chunk's hash decides its split. Where a cut falls is decided
by the hash of the line before it, so that a passage that comes twice is cut alike and does not straddle splits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from model_code.data.encoding import check_encoding
from model_code.data.index import SPLITS, TokenFacts
from model_code.data.options import SourceOptions
from model_code.data.shards import Array
from model_code.data.source import Part, Samples, content_hash, progress, row_ids
from model_code.data.splits import TEST_SHARE, VALIDATION_SHARE
from model_code.errors import InputError

MIN_BYTES = 8192
"""Smallest text: below it, a validation split holds no block worth measuring on."""
VALIDATED = TEST_SHARE + VALIDATION_SHARE
ENCODE_BYTES = 4 << 20
"""Text handed to the tokenizer at once."""


def load(path: Path, options: SourceOptions) -> Samples:
    """Return a text's blocks.

    Raises:
        InputError: no UTF-8, or too little text.
    """
    size = path.stat().st_size
    if size < MIN_BYTES:
        raise InputError(
            f"--source tokens: must have at least {MIN_BYTES} bytes, `{path}` has {size}; add text"
        )
    # Newlines stay as they are: a language model writes what it has read.
    with path.open(encoding=check_encoding(path, "tokens"), newline="") as file:
        text = file.read()
    chunks = cut(text)
    runs = split_chunks(chunks)
    learnt = progress(runs["train"], "learning tokens", total=len(runs["train"]))
    tokenizer = train_tokenizer(learnt, options.vocabulary or default_vocabulary(size))
    block = options.block or default_block(size)
    definition = tokenizer.to_str(pretty=True).encode()
    return Samples(
        kind="tokens",
        parts={name: _part(name, runs[name], tokenizer, block) for name in SPLITS},
        tokens=TokenFacts(
            vocabulary=tokenizer.get_vocab_size(),
            block=block,
            tokenizer_sha256=hashlib.sha256(definition).hexdigest(),
        ),
        tokenizer=definition,
    )


def default_vocabulary(size: int) -> int:
    """Return how many tokens fit a text of `size` bytes: rarer ones would be seen too seldom to be learnt."""
    return min(32_000, max(512, size // 500))


def default_block(size: int) -> int:
    """Return how many tokens a block fits: 64 below 256 KB, 128 below 64 MB, then 256."""
    return 64 if size < 1 << 18 else 128 if size < 1 << 26 else 256


def cut(text: str) -> list[str]:
    """Return a text in chunks of about a 400th of it, 256 to 4,096 characters on average, at most 4 times as long."""
    mean = min(4096, max(256, len(text) // 400))
    pieces: list[str] = []
    for line in text.splitlines(keepends=True):
        # A file without line ends is cut between words; without words, anywhere.
        pieces += [line] if len(line) <= mean else re.findall(rf"(?s).{{1,{mean - 1}}}\s|.{{1,{mean}}}", line)
    chunks: list[str] = []
    held: list[str] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        # A line of n characters ends a chunk with probability n / mean, whatever came before it.
        ends = int.from_bytes(content_hash(piece.encode())[:4], "little") / 2**32 < len(piece) / mean
        if ends or length >= 4 * mean:
            chunks.append("".join(held))
            held, length = [], 0
    return [*chunks, "".join(held)] if held else chunks


def split_chunks(chunks: Sequence[str]) -> dict[str, list[str]]:
    """Return each split's text as runs: chunks in the file's order, neighbours joined.

    Equal chunks go to the same split. The hashes in their order fill test, then validation, with 20 % and 10 % of
    the text.

    Raises:
        InputError: too few different chunks for three splits.
    """
    hashes = [content_hash(chunk.encode()) for chunk in chunks]
    size_of: dict[bytes, int] = {}
    for chunk, key in zip(chunks, hashes, strict=True):
        size_of[key] = size_of.get(key, 0) + len(chunk)
    split_of: dict[bytes, str] = {}
    done, whole = 0, sum(size_of.values())
    for key in sorted(size_of):
        first = "test" if done < TEST_SHARE * whole else "validation"
        full = first == "validation" and "validation" in split_of.values() and done >= VALIDATED * whole
        split_of[key] = "train" if full else first
        done += size_of[key]
    if set(split_of.values()) != set(SPLITS):
        raise InputError(
            f"--source tokens: must hold different passages for three splits, found {len(size_of)} in all; add "
            "text that does not repeat itself"
        )
    runs: dict[str, list[str]] = {name: [] for name in SPLITS}
    before = None
    for chunk, key in zip(chunks, hashes, strict=True):
        name = split_of[key]
        if name == before:
            runs[name][-1] += chunk
        else:
            runs[name].append(chunk)
        before = name
    return runs


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer (Radford et al., 2019): every text can be encoded, and decoded as it was."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def token_bytes(tokenizer: Tokenizer) -> Array:
    """Return how many bytes each token stands for, by id: a byte-level token has one character a byte."""
    lengths = np.zeros(tokenizer.get_vocab_size(), np.int32)
    for token, number in tokenizer.get_vocab().items():
        lengths[number] = len(token)
    return lengths


def _part(name: str, runs: Sequence[str], tokenizer: Tokenizer, block: int) -> Part:
    kind = np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32
    pieces: list[Array] = []
    groups = list(_groups(runs))
    for group in progress(groups, f"encoding {name}", total=len(groups)):
        pieces += [np.array(encoded.ids, kind) for encoded in tokenizer.encode_batch_fast(group)]
    ids = np.concatenate(pieces) if pieces else np.zeros(0, kind)
    if len(ids) <= block:
        raise InputError(
            f"--block must be below the {len(ids)} tokens of the {name} split, got {block}; set a smaller --block "
            "or add text"
        )
    # The last block is moved back to end with the text: its first targets come twice, none is left out.
    starts = np.minimum(np.arange(0, len(ids) - 1, block), len(ids) - 1 - block)
    blocks = np.lib.stride_tricks.sliding_window_view(ids, block + 1)[starts]
    columns = {
        "tokens": blocks,
        "bytes": token_bytes(tokenizer)[blocks[:, 1:]].sum(axis=1, dtype=np.int32),
        "id": row_ids([content_hash(row.tobytes()) for row in blocks]),
    }
    return Part(
        columns=columns, rows=np.arange(len(blocks)), text_bytes=sum(len(run.encode()) for run in runs)
    )


def _groups(runs: Sequence[str]) -> Iterator[list[str]]:
    held: list[str] = []
    for run in runs:
        held.append(run)
        if sum(map(len, held)) >= ENCODE_BYTES:
            yield held
            held = []
    if held:
        yield held
