"""Tables, texts and folders as people have them: read for what they say, or refused by line, at a bounded cost."""

from __future__ import annotations

import csv
import functools
import io
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from model_code.data.columns import choose
from model_code.data.encoding import check_encoding
from model_code.data.measure import measure
from model_code.data.options import SourceOptions
from model_code.data.read import read_all
from model_code.data.source import class_order, shorten
from model_code.data.table import MOST_COLUMNS, open_table
from model_code.data.text import load
from model_code.data.write import data_uri, prepare
from model_code.errors import InputError
from tests.fuzz.strategies import MEGABYTES, costly, damaged, folder, refusal, unicode

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
WORDS = ("river", "stone", "cloud", "early", "never", "bright", "seven", "under")


def text_of(number: int, label: str) -> str:
    """Return a sentence of its own."""
    return (
        f"{label} " + " ".join(WORDS[(number * step + step) % 8] for step in (1, 3, 5, 7)) + f" nr {number}"
    )


def labelled(classes: list[str], each: int) -> list[list[str]]:
    """Return rows of label and text, all different."""
    return [[label, text_of(n, label)] for n in range(each) for label in classes]


def as_csv(
    rows: list[list[str]], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL, end: str = "\n"
) -> str:
    """Return rows as text."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


def samples(content: bytes, name: str = "t.csv", **options: str) -> Counter[tuple[str, str]]:
    """Return label and text of every sample that a file becomes."""
    with folder() as place:
        (place / name).write_bytes(content)
        found = load(place / name, SourceOptions(**options))  # type: ignore[arg-type]
    counted: Counter[tuple[str, str]] = Counter()
    for part in found.parts.values():
        for row in part.rows:
            start, end = part.columns["offset"][row : row + 2]
            label = found.classes[part.columns["label"][row]]
            counted[label, bytes(part.columns["text"][start:end]).decode()] += 1
    return counted


tables = st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=8)


@given(tables, st.sampled_from(",;|\t"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_quoted_cells_come_back(rows: list[list[str]], delimiter: str, end: str, marked: bool) -> None:
    """Any text in quoted cells, rows of one width: cell by cell, whatever line ends and delimiters are within."""
    width = min(map(len, rows))
    rows = [row[:width] for row in rows]
    assume(all(any(row) for row in rows))
    content = as_csv(rows, delimiter, csv.QUOTE_ALL, end).encode("utf-8-sig" if marked else "utf-8")
    with folder() as place:
        (place / "t.csv").write_bytes(content)
        said = refusal(lambda: open_table(place / "t.csv", delimiter), InputError)
        if said is None:  # a first line that is a JSON object is read as JSON lines
            table = open_table(place / "t.csv", delimiter)
            assert [found for _, found in table.rows()] == rows


@given(st.sampled_from(",;|\t"), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.integers(4, 12))
def test_the_delimiter_is_guessed(delimiter: str, quoting: int, each: int) -> None:
    """The usual spellings of one table are one table."""
    rows = labelled(["good", "bad"], each)
    wanted = Counter((label, text) for label, text in rows)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert samples(as_csv(rows, delimiter, quoting).encode(encoding)) == wanted
    lines = "".join(json.dumps({"label": label, "text": text}) + "\n" for label, text in rows)
    assert samples(lines.encode(), "t.jsonl") == wanted
    assert samples(json.dumps([{"label": a, "text": b} for a, b in rows]).encode(), "t.json") == wanted


@given(
    st.permutations(labelled(["good", "bad", "so-so"], 6)),
    st.sampled_from([None, "label", "klasse", "stars"]),
)
def test_the_order_of_rows_does_not_count(rows: list[list[str]], name: str | None) -> None:
    """The same rows in another order are the same samples, with a header (which stays first) and without."""
    header = [] if name is None else [[name, "text" if name != "klasse" else "satz"]]
    wanted = Counter((label, text) for label, text in rows)
    assert samples(as_csv([*header, *rows]).encode()) == wanted
    swapped = [[text, label] for label, text in [*header, *rows]]
    assert samples(as_csv(swapped).encode()) == wanted


PLAIN = as_csv([["label", "text"], *labelled(["good", "bad"], 8)])
JSON_LINES = "".join(json.dumps({"label": a, "text": b}) + "\n" for a, b in labelled(["good", "bad"], 8))
FILES = {
    "t.csv": PLAIN.encode(),
    "t.tsv": as_csv(labelled(["good", "bad"], 8), "\t").encode(),
    "t.jsonl": JSON_LINES.encode(),
    "t.json": json.dumps([{"label": a, "text": b} for a, b in labelled(["good", "bad"], 8)]).encode(),
    "u.csv": PLAIN.encode("utf-16"),
}


@given(
    st.sampled_from(sorted(FILES)).flatmap(lambda name: st.tuples(st.just(name), damaged(FILES[name]))),
    st.sampled_from(["refuse", "skip"]),
    st.sampled_from(["", "label", "1", "9" * 5000, "\ud800", "text,label"]),
)
@example(("t.csv", b"[" * 100_000), "skip", "")
@example(("t.jsonl", b'{"label": "a", "text": "\\ud800"}\n' * 9), "skip", "")
@example(("t.jsonl", b'{"label": "a", "\\ud800": "x"}\n' * 9), "refuse", "")
@example(("t.jsonl", b'{"label": "a", "text": ' + b"[" * 5000 + b"}\n"), "refuse", "")
@example(("t.jsonl", b'{"label": "a", "text": ' + b"[" * 990 + b"]" * 990 + b"}\n"), "refuse", "")
@example(("t.json", b"[" * 100_000), "refuse", "")
@example(("u.csv", PLAIN.encode("utf-16")[:-1]), "refuse", "")
@example(("u.csv", b"\xff\xfe\x00\xd8,\x00a\x00"), "refuse", "")
@example(("t.csv", PLAIN.encode()), "refuse", "9" * 5000)
@example(("t.csv", b"label,text\n"), "skip", "")
@example(("t.csv", b'label,text\na,"never closed'), "skip", "")
@example(("t.csv", b"a,b\0c\n" * 9), "skip", "")
@example(("t.csv", b"\xef\xbb\xbf"), "skip", "")
@example(("t.csv", as_csv([["9" * 5000, f"text {n} of it"] for n in range(9)]).encode()), "skip", "1")
def test_any_file_is_samples_or_refused(file: tuple[str, bytes], on_error: str, label: str) -> None:
    """NUL, broken encodings, ragged rows, open quotes, half surrogates: samples that can be written, or one line."""
    name, content = file
    said = refusal(lambda: samples(content, name, on_error=on_error, label_column=label), InputError)
    if said is None:
        found = samples(content, name, on_error=on_error, label_column=label)
        assert all(label and text for label, text in found)
        assert len({label for label, _ in found}) >= 2


@costly
@given(st.lists(st.tuples(st.sampled_from("abc"), cells), min_size=9, max_size=20), st.booleans())
def test_a_data_set_holds_what_the_file_held(rows: list[tuple[str, str]], skip: bool) -> None:
    """Through shards and back: every sample once, or one line and no index that a reader would take for a data set."""
    with folder() as place:
        (place / "t.csv").write_text(as_csv([list(row) for row in rows], ",", csv.QUOTE_ALL), newline="")
        options = SourceOptions(
            on_error="skip" if skip else "refuse", label_column="1", text_column="2", header="no"
        )
        out = str(place / "out")
        if refusal(lambda: prepare(f"text:{place / 't.csv'}", out, options), InputError) is not None:
            assert not list(Path(out).rglob("index.json"))
            return
        index = prepare(f"text:{place / 't.csv'}", out, options)
        uri = data_uri(out, index)
        whole = [read_all(uri, split) for split in index.splits]
        read = Counter(
            (index.classes[n], t) for b in whole for n, t in zip(b["label"], b["text"], strict=True)
        )
        given_rows = Counter((label, text.strip()) for label, text in rows if text.strip())
        assert read == Counter({pair: n for pair, n in given_rows.items() if pair[0] in index.classes})


@given(st.lists(unicode.filter(str.strip), min_size=1, max_size=6), unicode, st.integers(1, 4))
def test_columns_are_chosen_or_refused(names: list[str], asked: str, rows: int) -> None:
    """Any header and any wish: places that exist and differ, or one line."""
    columns = measure(
        ([f"{n % 2}", *[text_of(n, x) for x in names]] for n in range(rows * 6)), len(names) + 1
    )
    first = ["label", *names]

    def chosen() -> object:
        return choose(columns, first, label=asked, text="", header="auto", keys=())

    if refusal(chosen, InputError) is None:
        choice = choose(columns, first, label=asked, text="", header="auto", keys=())
        assert choice.label not in choice.texts
        assert choice.texts
        assert all(place < len(first) for place in (choice.label, *choice.texts))


@given(st.lists(st.text(st.characters(categories=["Nd", "Ll"]), min_size=1), max_size=6))
@example(["9" * 5000, "1"])
@example(["٣", "2"])
@example(["--1", "-", "1"])
def test_classes_have_one_order(names: list[str]) -> None:
    """Sorted, each once, in whatever order they came."""
    assert class_order(names) == class_order(reversed(names))
    assert set(class_order(names)) == set(names)
    assert len(shorten(names * 60)) <= 101


@given(st.integers(1, 5))
def test_cost_grows_with_the_file(times: int) -> None:
    """Keys of their own in every row, or thousands of columns, would cost their square: refused by their number."""
    keys = "".join(
        json.dumps({f"key {n}": 1, f"other {n}": 2}) + "\n" for n in range(MOST_COLUMNS * times)
    ).encode()
    wide = (",".join("ab" for _ in range(MOST_COLUMNS + times)) + "\n").encode() * 3
    for name, content in (("t.jsonl", keys), ("t.csv", wide)):
        said = refusal(lambda: samples(content, name), InputError)  # noqa: B023
        assert said is not None
        assert f"at most {MOST_COLUMNS}" in said


@functools.cache
def counted() -> list[int]:
    """Return how many cells are looked at for a file and for one twice as long."""
    seen = []
    for each in (300, 600):
        with folder() as place:
            (place / "t.csv").write_text(as_csv(labelled(["good", "bad"], each)))
            seen.append(sum(len(row) for _, row in open_table(place / "t.csv").rows()))
    return seen


def test_a_file_twice_as_long_is_twice_the_work() -> None:
    """Work is counted in cells, not in seconds."""
    assert counted()[1] == 2 * counted()[0]


@given(st.sampled_from([MEGABYTES * 8, '"' + MEGABYTES * 8, "é" * 3_000_000]))
def test_a_huge_field_is_a_field(field: str) -> None:
    """A cell of megabytes is read, or the file refused: never echoed."""
    rows = as_csv([["good", field], *labelled(["good", "bad"], 6)])
    if refusal(lambda: samples(rows.encode()), InputError) is None:
        assert max(len(text) for _, text in samples(rows.encode())) >= len(field.strip())


@given(st.binary(max_size=200))
@example(b"\xff\xfe\x00")
@example(b"\xfe\xff\xd8\x00")
@example(b"ok\n\xe9")
def test_an_encoding_that_is_named_reads_the_file(content: bytes) -> None:
    """The codec that is returned decodes all of it; otherwise the line names the offset."""
    with folder() as place:
        path = place / "t.txt"
        path.write_bytes(content)
        said = refusal(lambda: check_encoding(path, "text"), InputError)
        if said is None:
            assert isinstance(path.read_text(encoding=check_encoding(path, "text")), str)
        else:
            assert "offset" in said


def test_a_name_that_is_no_unicode_is_a_file_all_the_same() -> None:
    """A file called in another encoding is read; its data set has a plain name."""
    with folder() as place:
        path = os.fsencode(place) + b"/caf\xe9.csv"
        with open(path, "w") as file:  # noqa: PTH123 - bytes
            file.write(PLAIN)
        index = prepare(f"text:{os.fsdecode(path)}", str(place / "out"))
        assert index.dataset.isascii()
        assert np.sum([split.samples for split in index.splits.values()]) == 16
