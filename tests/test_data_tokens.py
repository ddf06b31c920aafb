"""Any text becomes blocks of tokens that give the text back, with a tokenizer that saw the training split only."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model_code import store
from model_code.data.index import DataIndex, load_tokenizer
from model_code.data.options import SourceOptions
from model_code.data.read import read_all
from model_code.data.tokens import cut, default_block, default_vocabulary, split_chunks, train_tokenizer
from model_code.data.write import data_uri, prepare
from model_code.errors import InputError
from tests.conftest import SHARED_DATA

SHAKESPEARE = SHARED_DATA / "tinyshakespeare.txt"


def prose(lines: int, seed: int = 0) -> str:
    """Return lines of random words."""
    chance = random.Random(seed)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(1, 9))) for _ in range(300)]
    return "".join(" ".join(chance.choices(words, k=chance.randint(1, 15))) + "\n" for _ in range(lines))


def written(path: Path, **options: int) -> tuple[DataIndex, str, Tokenizer]:
    """Return the index, URI and tokenizer of a file's data set, written beside it."""
    index = prepare(f"tokens:{path}", str(path.parent / "out"), SourceOptions(**options))  # type: ignore[arg-type]
    uri = data_uri(str(path.parent / "out"), index)
    return index, uri, Tokenizer.from_str(load_tokenizer(uri, index).decode())


def test_every_split_is_text_of_the_file(tmp_path: Path) -> None:
    """All blocks but the last put together decode to passages of the file; their bytes are counted exactly."""
    path = tmp_path / "book.txt"
    text = prose(3000).replace("\n", "\r\n", 50) + "größe 語 🙂\n"
    path.write_bytes(text.encode())
    index, uri, tokenizer = written(path, block=32)
    assert index.tokens is not None
    assert sum(split.text_bytes for split in index.splits.values()) == len(text.encode())
    for name, split in index.splits.items():
        batch = read_all(uri, name)
        tokens = batch["tokens"]
        assert tokens.dtype == np.uint16
        assert tokens.shape == (split.samples, 33)
        assert tokens.max() < index.tokens.vocabulary
        assert (tokens[:-2, -1] == tokens[1:-1, 0]).all()
        lines = tokenizer.decode(tokens[:-1, :32].ravel().tolist()).split("\n")
        known = set(text.split("\n"))
        assert all(line in known for line in lines[1:-1])
        assert len(lines) > 50
        for row, size in zip(tokens, batch["bytes"].tolist(), strict=True):
            assert size == sum(len(tokenizer.id_to_token(token) or "") for token in row[1:].tolist())


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason=f"{SHAKESPEARE} is missing")
def test_tiny_shakespeare_is_shared_out(tmp_path: Path) -> None:
    """A real text: about 70, 10 and 20 % of the bytes, a vocabulary and a block that fit its size."""
    index = prepare(f"tokens:{SHAKESPEARE}", str(tmp_path))
    size = SHAKESPEARE.stat().st_size
    assert index.tokens is not None
    assert (index.tokens.vocabulary, index.tokens.block) == (size // 500, 128)
    for name, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        assert index.splits[name].text_bytes / size == pytest.approx(share, abs=0.02)


def test_the_tokenizer_learns_from_the_training_split_only(tmp_path: Path) -> None:
    """Trained again on the training text alone it is the very same, and preparing twice gives the same bytes."""
    path = tmp_path / "book.txt"
    path.write_text(prose(3000))
    index, uri, _ = written(path, vocabulary=400)
    again = train_tokenizer(split_chunks(cut(path.read_text()))["train"], 400)
    assert load_tokenizer(uri, index) == again.to_str(pretty=True).encode()
    everything = train_tokenizer([path.read_text()], 400)
    assert everything.to_str() != again.to_str()
    other = prepare(f"tokens:{path}", str(tmp_path / "other"), SourceOptions(vocabulary=400))
    assert other == index


@given(st.text(max_size=3000), st.integers(0, 3))
def test_cutting_loses_nothing(text: str, repeat: int) -> None:
    """The chunks put together are the text, and none is longer than four times the mean and a piece."""
    text = text * (1 + repeat)
    chunks = cut(text)
    assert "".join(chunks) == text
    assert all(0 < len(chunk) <= 5 * 256 for chunk in chunks)


def test_a_text_without_line_ends_is_cut_between_words() -> None:
    """One endless line still gives many chunks, and words stay whole."""
    text = prose(2000).replace("\n", " ")
    chunks = cut(text)
    assert len(chunks) > 50
    assert "".join(chunks) == text
    assert all(chunk.endswith(" ") for chunk in chunks)
    assert len(cut("x" * 50_000)) > 20


def test_passages_that_come_twice_do_not_straddle_splits() -> None:
    """A book that is in the file twice, at another place, is split alike but for the chunk where the copies meet."""
    book = prose(4000)
    runs = split_chunks(cut(book + prose(40, seed=1) + book))
    lines = {name: set("".join(texts).splitlines()) for name, texts in runs.items()}
    short = {line for line in book.splitlines() if len(line) < 20}  # short lines repeat by chance
    for one, two in (("train", "test"), ("train", "validation"), ("validation", "test")):
        shared = (lines[one] & lines[two]) - short
        assert len(shared) < 20, sorted(shared)[:3]
    assert all(len(texts) > 100 for texts in lines.values())


def test_equal_chunks_stay_together() -> None:
    """Whatever repeats is in one split only, and all the text is somewhere."""
    chunks = [f"passage {n % 30}\n" for n in range(300)]
    runs = split_chunks(chunks)
    found = [set("".join(texts).splitlines()) for texts in runs.values()]
    assert sum(map(len, found)) == len(set.union(*found)) == 30
    assert sum(len("".join(texts)) for texts in runs.values()) == sum(map(len, chunks))


def test_bad_utf_8_is_named_by_its_offset(tmp_path: Path) -> None:
    """The first wrong byte, its offset and line, and how to convert."""
    path = tmp_path / "latin.txt"
    content = prose(1000).encode()
    path.write_bytes(content[:5000] + b"\xff" + content[5000:])
    line = content[:5000].count(b"\n") + 1
    with pytest.raises(InputError, match=rf"byte 0xff at offset 5000 \(line {line}\); convert it: iconv"):
        written(path)


def test_too_little_text_is_refused_with_the_minimum(tmp_path: Path) -> None:
    """8,192 bytes are needed, and 8,192 bytes are enough."""
    path = tmp_path / "short.txt"
    text = prose(1000).encode()
    path.write_bytes(text[:8191])
    with pytest.raises(InputError, match=r"at least 8192 bytes, .* has 8191"):
        written(path)
    path.write_bytes(text[:8192])
    index, _, _ = written(path)
    assert all(split.samples for split in index.splits.values())


def test_text_that_only_repeats_itself_is_refused(tmp_path: Path) -> None:
    """One passage cannot be in three splits."""
    path = tmp_path / "same.txt"
    path.write_text("x" * 99 + "\n")
    path.write_text(path.read_text() * 200)
    with pytest.raises(InputError, match="different passages for three splits"):
        written(path)


def test_a_block_longer_than_a_split_is_refused(tmp_path: Path) -> None:
    """The message names the split, its tokens and the setting."""
    path = tmp_path / "short.txt"
    path.write_text(prose(300))
    with pytest.raises(
        InputError, match=r"--block must be below the \d+ tokens of the \w+ split, got 100000"
    ):
        written(path, block=100_000)


def test_sizes_fit_the_data() -> None:
    """A 500th of the bytes from 512 to 32,000; longer blocks for longer texts."""
    sizes = (1, 1_000_000, 1 << 40)
    assert [default_vocabulary(size) for size in sizes] == [512, 2000, 32_000]
    assert [default_block(size) for size in (10_000, 1_000_000, 1 << 30)] == [64, 128, 256]


def test_a_text_on_s3_is_fetched(bucket: str, tmp_path: Path) -> None:
    """Source and data set may both be remote; the result is that of the local file."""
    path = tmp_path / "book.txt"
    path.write_text(prose(1000))
    store.upload(path, store.join(bucket, "raw", "book.txt"))
    remote = prepare(f"tokens:{bucket}/raw/book.txt", store.join(bucket, "data"))
    assert remote == prepare(f"tokens:{path}", str(tmp_path / "out"))
    assert store.exists(store.join(data_uri(store.join(bucket, "data"), remote), "tokenizer.json"))
