"""How a table is written is guessed from the table, and rows that do not fit are told apart."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_code.data.table import open_table
from model_code.errors import InputError

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\ufeff"), max_size=30)
"""Cells with quotes, delimiters, backslashes and line feeds at will."""


def read(path: Path, delimiter: str = "") -> list[list[str]]:
    """Return all cells of a table without faults."""
    rows = []
    for _, cells in open_table(path, delimiter).rows():
        assert isinstance(cells, list), cells
        rows.append(cells)
    return rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["pos", "neg"]), WORDS), min_size=8, max_size=20),
    st.sampled_from(",\t;|"),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_whatever_csv_writes_is_read(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str, end: str, everything: bool
) -> None:
    """Any cells, any delimiter, either line end, quoted all or where needed: the cells come back."""
    file = io.StringIO(newline="")
    csv.writer(
        file,
        delimiter=delimiter,
        lineterminator=end,
        quoting=csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL,
    ).writerows(rows)
    path = tmp_path / "table.csv"
    path.write_bytes(file.getvalue().encode())
    assert read(path) == [list(row) for row in rows]


PLAIN = "good,fine\nbad,awful\n" * 5


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("bom.csv", "\ufeff" + PLAIN, [["good", "fine"], ["bad", "awful"]] * 5),
        ("crlf.csv", PLAIN.replace("\n", "\r\n"), [["good", "fine"], ["bad", "awful"]] * 5),
        ("mac.csv", PLAIN.replace("\n", "\r"), [["good", "fine"], ["bad", "awful"]] * 5),
        ("no-end.csv", PLAIN.strip(), [["good", "fine"], ["bad", "awful"]] * 5),
        ("blank.csv", PLAIN.replace("\n", "\n\n"), [["good", "fine"], ["bad", "awful"]] * 5),
        ("trailing.csv", "a,b\n" + "c,d,\n" + "e,f\n" * 8, [["a", "b"], ["c", "d"], *[["e", "f"]] * 8]),
        ("commas.tsv", 'ham\tOne, two, "three\nspam\t"Four, five\n' * 5,
         [["ham", 'One, two, "three'], ["spam", '"Four, five']] * 5),
        ("semi.csv", "good;a, b\nbad;c\nbad;d, e, f\n" * 5, [["good", "a, b"], ["bad", "c"], ["bad", "d, e, f"]] * 5),
        ("lines.csv", 'x,"a\nb, ""c"""\ny,d\n' * 5, [["x", 'a\nb, "c"'], ["y", "d"]] * 5),
        ("escaped.csv", 'x,"a \\"b\\", c"\ny,"d, \\"e\\""\n' * 5, [["x", 'a "b", c'], ["y", 'd, "e"']] * 5),
        ("slashes.csv", 'x,"a\\b, c"\ny,"d\\\\e"\n' * 5, [["x", "a\\b, c"], ["y", "d\\\\e"]] * 5),
        ("none.txt", "x\tit's 5\" wide\ny\t\"so\n" * 5, [["x", "it's 5\" wide"], ["y", '"so']] * 5),
    ],
)  # fmt: skip
def test_tables_as_they_are_found(tmp_path: Path, name: str, content: str, rows: list[list[str]]) -> None:
    """Byte order marks, all line ends, blank lines, loose quotes in tsv, escapes, line feeds within quotes."""
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert read(path) == rows


def test_utf_16_is_read(tmp_path: Path) -> None:
    """Excel's "Unicode text" is UTF-16 with a mark, and tabs."""
    path = tmp_path / "excel.txt"
    path.write_bytes(PLAIN.replace(",", "\t").replace("fine", "größer").encode("utf-16"))
    assert read(path)[0] == ["good", "größer"]


def test_a_long_text_is_no_fault(tmp_path: Path) -> None:
    """Python's limit of 128 KiB a cell does not hold here, and neither does the sample end the table."""
    path = tmp_path / "long.csv"
    long = "word, " * 1_000_000
    path.write_text(f'a,"{long}"\nb,short\n')
    assert read(path) == [["a", long], ["b", "short"]]


@pytest.mark.parametrize("array", [False, True])
def test_json_objects_are_rows(tmp_path: Path, array: bool) -> None:
    """Lines or one array: keys are columns, missing ones are empty, numbers and truths are written as JSON does."""
    objects = [{"text": "one\ntwo", "label": 1}, {"label": True, "text": "three", "extra": None}]
    path = tmp_path / ("data.json" if array else "data.jsonl")
    path.write_text(json.dumps(objects, indent=1) if array else "\n".join(map(json.dumps, objects)) + "\n\n")
    table = open_table(path)
    assert table.names == ("text", "label", "extra")
    assert read(path) == [["one\ntwo", "1", ""], ["three", "true", ""]]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("a,b\n" * 5 + "c\n" + "a,b\n" * 5, 6, "1 columns where the others have 2"),
        ('"a\nb",c\n' * 5 + "d,e,f\n", 11, "3 columns where the others have 2"),
        ('{"a": 1, "b": 2}\n\n{"a": 1\n', 3, "no JSON"),
        ('{"a": 1, "b": 2}\n[1]\n', 2, "no JSON object"),
    ],
)
def test_rows_that_do_not_fit_are_named_by_line(tmp_path: Path, content: str, line: int, says: str) -> None:
    """The line number is the file's, also after blank lines and line feeds within quotes."""
    path = tmp_path / "table.txt"
    path.write_text(content)
    faults = [(number, cells) for number, cells in open_table(path).rows() if isinstance(cells, str)]
    assert [number for number, _ in faults] == [line]
    assert says in faults[0][1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"one\ntwo\nthree\n", "has 1 column; separate them"),
        (b"a,b\nc,caf\xe9\n", "byte 0xe9 at offset 9 (line 2); convert it: iconv"),
        (b'{"text": "alone"}\n', "has keys: text"),
        (b'[{"text": "a", "label": ', "must be JSON lines or one JSON array"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    """Empty, one column, another encoding, broken JSON: one line says which and what to do."""
    path = tmp_path / ("t.json" if content[:1] in (b"[", b"{") else "t.csv")
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        list(open_table(path).rows())
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_delimiter_can_be_set(tmp_path: Path) -> None:
    """`tab`, or one character that is not among those that are tried."""
    path = tmp_path / "t.csv"
    path.write_text("a^b,c\nd^e,f\n" * 4)
    assert read(path, "^")[0] == ["a", "b,c"]
    path.write_text("a\tb,c\nd\te,f\n" * 4)
    assert read(path, "tab")[0] == ["a", "b,c"]
