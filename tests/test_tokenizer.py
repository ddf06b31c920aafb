"""Tokenizers travel as bytes: trained on the data or brought along, with truncation and padding inside."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from model_code import tokenizer
from model_code.data.index import load_index, load_tokenizer
from model_code.errors import InputError
from tests import small_data

TEXTS = ["The coach says the team will win", "Stock prices rise after new profit"] * 10


def test_a_trained_tokenizer_cuts_and_pads() -> None:
    """Texts of any length become equal rows within the limit; the mask marks what is text."""
    words = tokenizer.load(tokenizer.train_bpe(TEXTS, vocabulary=300, max_tokens=8))
    short, long = words.encode_batch(["team", "the coach says the team will win the stock profit"])
    assert len(short.ids) == len(long.ids) == 8
    assert sum(short.attention_mask) == 3  # [CLS] team [SEP]
    assert long.tokens[0] == tokenizer.FIRST
    assert long.tokens[-1] == tokenizer.LAST
    assert short.tokens[-1] == tokenizer.PAD


def test_training_a_tokenizer_twice_gives_the_same_bytes() -> None:
    """The tokenizer follows from texts and size alone."""
    once, again = (tokenizer.train_bpe(TEXTS, vocabulary=300, max_tokens=8) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("text", ["", "   ", "\x00\ufffd", "日本語 🎉", "x" * 5000])
def test_any_text_is_tokenized(text: str) -> None:
    """Nothing to read, unknown characters and endless words give a short sequence with both ends."""
    words = tokenizer.load(tokenizer.train_bpe(TEXTS, vocabulary=300, max_tokens=8))
    tokens = words.encode(text).tokens
    assert 2 <= len(tokens) <= 8
    assert tokens[0] == tokenizer.FIRST


def test_a_pretrained_folder_brings_its_tokenizer(tmp_path: Path) -> None:
    """Its words are kept, its limit becomes ours."""
    own = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "goal": 2}, unk_token="[UNK]"))
    own.pre_tokenizer = Whitespace()
    own.save(str(tmp_path / "tokenizer.json"))
    words = tokenizer.load(tokenizer.from_pretrained(str(tmp_path), max_tokens=4))
    assert words.encode("goal goal x goal goal goal").ids == [2, 2, 1, 2]


def test_a_folder_without_a_usable_tokenizer_is_refused(tmp_path: Path) -> None:
    """The message names the folder and how to make the file."""
    with pytest.raises(InputError, match=r"no readable tokenizer\.json"):
        tokenizer.from_pretrained(str(tmp_path), max_tokens=8)
    Tokenizer(WordLevel({"goal": 0}, unk_token="goal")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match="without a padding token"):
        tokenizer.from_pretrained(str(tmp_path), max_tokens=8)
    with pytest.raises(InputError, match="cannot be read"):
        tokenizer.load(b"{}")


def test_byte_lengths_add_up_to_the_text(tmp_path: Path) -> None:
    """The bytes of a text's tokens are the bytes of the text, whatever its script; special tokens have none."""
    uri = small_data.tokens(tmp_path, lines=300)
    content = load_tokenizer(uri, load_index(uri))
    lengths = tokenizer.byte_lengths(content)
    words = tokenizer.load(content)
    for text in ("the goal of the match.\n", "Straße 日本 🎉\t\r\n"):
        assert sum(lengths[number] for number in words.encode(text).ids) == len(text.encode())
    special = [number for number, token in words.get_added_tokens_decoder().items() if token.special]
    assert [lengths[number] for number in special] == [0] * len(special)
