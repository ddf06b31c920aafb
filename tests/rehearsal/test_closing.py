"""The closing table: every figure of the result is in it, computed right, at 80 columns."""

from __future__ import annotations

import io
from dataclasses import replace

import pydantic
import pytest
from rich.console import Console

from infra.rehearsal import closing
from infra.rehearsal.result import Fault, Result, from_json
from tests.rehearsal.a_result import a_result


def shown(result: Result, width: int = 80) -> str:
    """Return the closing table as a terminal shows it, blanks joined."""
    console = Console(file=io.StringIO(), width=width)
    console.print(closing.table(result))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(len(line) for line in text.splitlines()) <= width
    return " ".join(text.replace("│", " ").split())


def test_a_result_is_read_as_it_was_written() -> None:
    assert from_json(a_result().to_json()) == a_result()


def test_a_file_of_another_version_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="environment"):
        from_json(b'{"outcome": ""}')


def test_the_release_stands_beside_the_original() -> None:
    said = shown(a_result())
    for words in (
        "model 8f3a12c4e5d6 (prune-50)",
        "accuracy 98.00% 97.50% 99.5% of it",
        "4.00 MB 0.80 MB 5.0x smaller",
        "2.00 ms 0.50 ms 4.0x faster",
        "served = offline 360 of 360 0 failed",
        "served accuracy 97.50%",
        "requests/s 50 16 at once",
        "p50 / p99 180.5 / 357.0 ms",
    ):
        assert words in said


def test_time_is_split_by_stage() -> None:
    assert closing.wall(a_result().stages) == (
        "3:16 min: engine 3 s, up 33 s, boot 21 s, training 55 s, compress 19 s, publish 5 s, serve 31 s, "
        "requests 7 s, destroy 23 s"
    )


def test_the_facts_are_counted() -> None:
    facts = dict(closing.facts(a_result()))
    assert facts["nodes"] == "2 train, 2 serve; the training started again once"
    assert facts["resources"] == "7, of 3 types: 4 emulated, 2 patched, 1 recorded"
    assert facts["AWS API"] == "1,242 calls, 2 denied"
    assert facts["on AWS"].startswith("about 0.01 to 0.05 US dollars, an estimate (prices of 2026-11-24)")
    assert facts["left"] == "nothing: everything was destroyed"


def test_what_is_left_is_named() -> None:
    facts = dict(closing.facts(replace(a_result(), left=("bucket x",))))
    assert facts["left"] == "bucket x"
    assert "left" not in dict(closing.facts(replace(a_result(), left=None)))


def test_what_was_not_rehearsed_is_said_every_time() -> None:
    for result in (a_result(), replace(a_result(), release=None, serving=None, outcome="no node came up")):
        said = shown(result)
        assert "never tested on AWS" in said
        assert all(" ".join(one.split()) in said for one in closing.NOT_REHEARSED)


def test_a_failed_rehearsal_says_so_first_and_shows_what_there_is() -> None:
    said = shown(replace(a_result(), outcome="the gate refused it", release=None, serving=None))
    assert said.startswith("The rehearsal failed: the gate refused it")
    assert "wall" in said


def test_a_refused_release_shows_no_gain() -> None:
    refused = replace(a_result().release, chosen="", version="")  # type: ignore[type-var]
    said = shown(replace(a_result(), release=refused, serving=None))
    assert "model: refused" in said
    assert "smaller" not in said


def test_denials_and_faults_are_shown() -> None:
    broken = Fault(name="leader-killed", must_hold="resumes", measured="12 s", held=False)
    said = shown(replace(a_result(), faults=(broken, replace(broken, name="both", held=True))), width=100)
    assert "denied: skylift-rehearsal-train: s3:GetObject on arn:aws:s3:::other/x" in said
    assert "leader-killed resumes 12 s broken" in said
    assert "both resumes 12 s held" in said
