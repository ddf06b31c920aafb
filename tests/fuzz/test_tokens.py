"""A text becomes tokens and back: cut, split and encoded, not a byte is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model_code.data.index import SPLITS
from model_code.data.options import SourceOptions
from model_code.data.tokens import MIN_BYTES, cut, default_block, default_vocabulary, load, split_chunks
from model_code.errors import InputError
from tests.fuzz.strategies import costly, damaged, folder, refusal

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
LINES = "".join(f"line {n} of a story about {('rivers', 'stones', 'clouds')[n % 3]}\n" for n in range(400))


@given(texts, st.integers(1, 40))
@example("x" * 20_000, 1)
@example("a b" * 9000, 1)
@example("\u2028\x0b\x1c\x85", 9)
@example("", 1)
def test_the_chunks_are_the_text(text: str, times: int) -> None:
    """Joined, they are what was cut; each has a bounded length, also without line ends and without spaces."""
    whole = text * times
    chunks = cut(whole)
    assert "".join(chunks) == whole
    mean = min(4096, max(256, len(whole) // 400))
    assert all(len(chunk) < 5 * mean + 1 for chunk in chunks)
    assert len(chunks) <= len(whole)


@given(st.lists(texts.filter(bool), min_size=1, max_size=30))
def test_equal_passages_are_in_one_split(chunks: list[str]) -> None:
    """Every chunk is in one split, in its order; equal ones in the same."""
    if refusal(lambda: split_chunks(chunks), InputError) is not None:
        assert len(set(chunks)) < 9
        return
    runs = split_chunks(chunks)
    assert sum(len(run) for split in runs.values() for run in split) == sum(map(len, chunks))
    for chunk in set(chunks):
        assert any(chunk in "".join(runs[name]) for name in SPLITS)


@costly
@given(st.integers(0, 1000), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_every_byte_of_a_text_comes_back(number: int, encoding: str) -> None:
    """Decoded, the blocks of all splits are the text's passages, whatever its line ends and characters are."""
    text = f"number {number}\r\n" + LINES + f"é漢😀 {number} \x85"
    with folder() as place:
        (place / "t.txt").write_bytes(text.encode(encoding))
        samples = load(place / "t.txt", SourceOptions(block=16, vocabulary=300))
    tokenizer = Tokenizer.from_str(samples.tokenizer.decode())
    read = 0
    for name in SPLITS:
        blocks = samples.parts[name].columns["tokens"]
        assert blocks.shape[1] == 17
        assert blocks.max() < tokenizer.get_vocab_size()
        rows = [list(blocks[0]), *[list(row[1:]) for row in blocks[1:-1]]]
        decoded = tokenizer.decode([int(token) for row in rows for token in row])
        assert decoded[:100] in text or any(decoded[:30].startswith(line[:10]) for line in text.splitlines())
        read += samples.parts[name].text_bytes
    assert read == len(text.encode())


@costly
@given(damaged(LINES.encode()), st.sampled_from([0, 8, 64, 4096]))
@example(b"", 0)
@example(b"same line\n" * 2000, 0)
@example(b"\xff\xfe" + b"a\x00" * 5000 + b"a", 0)
@example(b"\x00" * 20_000, 8)
def test_any_file_is_blocks_or_refused(content: bytes, block: int) -> None:
    """Too short, of another encoding, one passage again and again: one line."""
    with folder() as place:
        (place / "t.txt").write_bytes(content)
        options = SourceOptions(block=block, vocabulary=300)
        said = refusal(lambda: load(place / "t.txt", options), InputError)
        if len(content) < MIN_BYTES:
            assert said is not None
        if said is None:
            parts = load(place / "t.txt", options).parts
            assert all(len(parts[name].rows) for name in SPLITS)


@given(st.integers(0, 1 << 40))
def test_defaults_grow_with_the_text(size: int) -> None:
    """Sizes that fit the options' ranges, never smaller for a larger text."""
    SourceOptions(block=default_block(size), vocabulary=default_vocabulary(size))
    assert default_vocabulary(size) <= default_vocabulary(size * 2)
    assert default_block(size) <= default_block(size * 2)
    assert np.log2(default_block(size)) % 1 == 0
