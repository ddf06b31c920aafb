"""Labelled texts from files as people have them: columns found, rows kept, faults named."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_code.data.index import DataIndex, TextFacts
from model_code.data.options import SourceOptions
from model_code.data.read import read_all
from model_code.data.write import data_uri, prepare
from model_code.errors import InputError
from tests.conftest import SHARED_DATA

AG_NEWS = SHARED_DATA / "ag_news_test.csv"


def written(path: Path, **options: str) -> tuple[DataIndex, TextFacts]:
    """Return the index of a file's data set, written beside it, and its facts."""
    index = prepare(f"text:{path}", str(path.parent / "out"), SourceOptions(**options))  # type: ignore[arg-type]
    assert index.text is not None
    return index, index.text


def pairs(path: Path, index: DataIndex) -> list[tuple[str, str]]:
    """Return label and text of every sample, sorted."""
    uri = data_uri(str(path.parent / "out"), index)
    whole = [read_all(uri, split) for split in index.splits]
    return sorted(
        (index.classes[n], text) for b in whole for n, text in zip(b["label"], b["text"], strict=True)
    )


def table(path: Path, rows: list[list[str]], delimiter: str = ",") -> Path:
    """Write rows as csv and return the path."""
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def reviews(number: int) -> list[list[str]]:
    """Return rows of sentiment and text, all different."""
    words = {
        "positive": "A wonderful film, number {}, seen twice",
        "negative": "A dreadful film, number {}: never again",
    }
    return [[label, text.format(place)] for place in range(number) for label, text in words.items()]


@pytest.mark.skipif(not AG_NEWS.exists(), reason=f"{AG_NEWS} is missing")
def test_ag_news_is_read_right(tmp_path: Path) -> None:
    """No header, numeric classes from 1, a title and a description: all 7,600 rows, both texts joined."""
    index = prepare(f"text:{AG_NEWS}", str(tmp_path / "out"))
    assert index.classes == ("1", "2", "3", "4")
    assert index.text is not None
    assert (index.text.label_column, index.text.text_columns, index.text.header) == ("1", ("2", "3"), False)
    with AG_NEWS.open(newline="") as file:
        wanted = sorted((row[0], f"{row[1].strip()} {row[2].strip()}") for row in csv.reader(file))
    assert len(wanted) == 7600
    assert pairs(tmp_path / "x", index) == wanted
    assert {name: split.samples for name, split in index.splits.items()} == {
        "train": 5320,
        "validation": 760,
        "test": 1520,
    }


HEADERS = [
    (["sentiment", "review"], 0, 1),
    (["review", "sentiment"], 1, 0),
    (["Class", "Text"], 0, 1),
    (["text", "label"], 1, 0),
    (["v1", "v2"], 0, 1),
    (["klasse", "satz"], 0, 1),
]


@pytest.mark.parametrize(("names", "label", "text"), HEADERS)
def test_a_header_is_seen_in_any_order(tmp_path: Path, names: list[str], label: int, text: int) -> None:
    """Known and unknown names are headers, not samples; label and text are found on either side."""
    rows = [[row[0] if place == label else row[1] for place in range(2)] for row in reviews(6)]
    path = table(tmp_path / "t.csv", [names, *rows])
    index, facts = written(path)
    assert (facts.label_column, facts.text_columns, facts.header) == (names[label], (names[text],), True)
    assert pairs(path, index) == sorted((row[0], row[1]) for row in reviews(6))


def test_no_header_is_no_header(tmp_path: Path) -> None:
    """The first row of a table without names is a sample like the others, even with a number as its label."""
    for rows in (reviews(6), [[str(n % 2 + 1), text] for n, (_, text) in enumerate(reviews(6))]):
        path = table(tmp_path / "t.csv", rows)
        index, facts = written(path)
        assert not facts.header
        assert pairs(path, index) == sorted((label, text) for label, text in rows)


def test_other_columns_do_not_disturb(tmp_path: Path) -> None:
    """Numbers, dates, users, constants and the split are neither label nor text."""
    rows = []
    for place, row in enumerate(reviews(10)):
        date = f"Mon Apr {place:02d} 22:19:45 PDT 2009"
        rows.append([str(place), date, f"user_{place}", "flag", ["train", "test"][place % 2], *row])
    names = ["id", "date", "user", "query", "split", "sentiment", "text"]
    index, facts = written(table(tmp_path / "t.csv", [names, *rows]))
    assert (facts.label_column, facts.text_columns) == ("sentiment", ("text",))
    index, facts = written(table(tmp_path / "u.csv", [row[:4] + row[5:] for row in rows]))
    assert (facts.label_column, facts.text_columns) == ("5", ("6",))
    assert index.classes == ("negative", "positive")


def test_titles_are_joined_and_copies_are_not(tmp_path: Path) -> None:
    """A title goes in front of the text; another column of prose does not where the header names the text."""
    names = ["label", "title", "text", "selected_part"]
    rows = [
        [label, f"Some title of number {n}", text, text[:30]] for n, (label, text) in enumerate(reviews(8))
    ]
    path = table(tmp_path / "t.csv", [names, *rows])
    index, facts = written(path)
    assert facts.text_columns == ("title", "text")
    assert pairs(path, index)[0][1].startswith("Some title of number ")


def test_the_spam_collection_of_kaggle(tmp_path: Path) -> None:
    """Three more columns that are empty but for a few rows change nothing."""
    rows = [[label, text, "", "", ""] for label, text in reviews(8)]
    rows[3][2] = "left over"
    index, facts = written(table(tmp_path / "spam.csv", [["v1", "v2", "", "", ""], *rows]))
    assert (facts.label_column, facts.text_columns) == ("v1", ("v2",))
    assert sum(split.samples for split in index.splits.values()) == 16


def test_json_lines_are_read(tmp_path: Path) -> None:
    """Keys are names; numbers become the classes' names, in the order of their value."""
    rows = [{"text": f"{text} {n}", "label": n % 11} for n in range(4) for _, text in reviews(11)[:11]]
    rows = [{**row, "label": place % 11, "text": f"{row['text']} {place}"} for place, row in enumerate(rows)]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    index, facts = written(path)
    assert index.classes == tuple(str(n) for n in range(11))
    assert (facts.label_column, facts.text_columns, facts.header) == ("label", ("text",), False)
    assert len(pairs(path, index)) == len(rows)


def test_columns_and_header_can_be_set(tmp_path: Path) -> None:
    """By name or by number from 1, several texts with commas; a wrong name lists the right ones."""
    rows = [[label, f"n{n % 2}", text, f"more {n}"] for n, (label, text) in enumerate(reviews(8))]
    path = table(tmp_path / "t.csv", [["sentiment", "group", "text", "note"], *rows])
    _, facts = written(path, label_column="group", text_column="text,note")
    assert (facts.label_column, facts.text_columns) == ("group", ("text", "note"))
    _, facts = written(path, label_column="2", text_column="4")
    assert (facts.label_column, facts.text_columns) == ("group", ("note",))
    with pytest.raises(InputError, match="unknown column `grup`; did you mean `group`"):
        written(path, label_column="grup")
    with pytest.raises(InputError, match=r"--text-column must differ from the label column `group`"):
        written(path, label_column="group", text_column="group")
    bare = table(tmp_path / "bare.csv", [["a", "first row"], ["b", "second row"], *rows_of_two(8)])
    assert written(bare, header="yes")[1].text_columns == ("first row",)
    assert written(bare, header="no")[1].text_columns == ("2",)


def rows_of_two(number: int) -> list[list[str]]:
    """Return rows of two classes."""
    return [["ab"[n % 2], f"text of number {n}"] for n in range(number)]


def test_rows_with_too_few_columns_are_named(tmp_path: Path) -> None:
    """Refused with the line number and the way out, or skipped and listed."""
    path = table(tmp_path / "t.csv", [["label", "text"], *reviews(6), ["positive"], *reviews(2)])
    with pytest.raises(InputError, match=r"line 14 has 1 columns where the others have 2; .*--on-error skip"):
        written(path)
    index, _ = written(path, on_error="skip")
    assert index.skipped == ("line 14: 1 columns where the others have 2",)
    assert len(pairs(path, index)) == 16


def test_rows_without_text_or_label_are_listed(tmp_path: Path) -> None:
    """There is nothing to learn from them, so they are left out in either case, and named."""
    path = table(tmp_path / "t.csv", [["label", "text"], *reviews(6), ["positive", " "], ["", "no label"]])
    index, _ = written(path)
    assert index.skipped == ("line 14: no text", "line 15: no label")
    assert len(pairs(path, index)) == 12


def test_a_long_list_of_skipped_rows_is_cut(tmp_path: Path) -> None:
    """The index names a hundred and counts the rest."""
    path = table(tmp_path / "t.csv", [["label", "text"], *reviews(90), *[["positive", ""]] * 150])
    index, _ = written(path)
    assert len(index.skipped) == 101
    assert index.skipped[-1] == "and 50 more"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["label", "text"]], "must hold several rows"),
        ([["a", f"text {n}"] for n in range(9)], "found no column with few, short, repeated values"),
        ([[str(n), f"text {n}"] for n in range(9)], "--label-column"),
        (
            [*rows_of_two(12), ["c", "odd one"], ["c", "odd two"]],
            "class `c` must have at least 3 different samples",
        ),
    ],
)
def test_tables_that_cannot_be_learnt_are_refused(tmp_path: Path, rows: list[list[str]], says: str) -> None:
    """No rows, one class, no repeated label, a class too small: one line, and no data set."""
    with pytest.raises(InputError) as refused:
        written(table(tmp_path / "t.csv", rows))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.rglob("index.json"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r\ufeff"), min_size=1, max_size=60),
        min_size=6,
        max_size=16,
        unique_by=lambda text: text.strip(),
    ),
    st.sampled_from(",\t;|"),
    st.booleans(),
    st.booleans(),
)
def test_any_texts_are_found_and_kept(
    tmp_path: Path, texts: list[str], delimiter: str, header: bool, turned: bool
) -> None:
    """Whatever the texts hold, label and text columns are guessed and every text comes back as it was."""
    texts = [f"the words: {text}" for text in texts]
    rows = [["ab"[n * 2 // len(texts)], text] for n, text in enumerate(texts)]
    rows = ([["label", "text"]] if header else []) + rows
    path = table(tmp_path / "t.csv", [row[::-1] if turned else row for row in rows], delimiter)
    index, facts = written(path)
    assert facts.header == header
    assert pairs(path, index) == sorted((label, text.strip()) for label, text in rows[header:])
