"""Events of a rehearsal: nothing is lost or mixed, whoever writes at the same time."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.rehearsal.story import Event, Story, read

WRITER = """
import sys
from pathlib import Path
from infra.rehearsal.story import Story
story = Story(Path(sys.argv[1]))
for number in range(200):
    story.tell("note", "x" * 5000, where=sys.argv[2], number=number)
"""


def test_an_event_is_read_as_it_was_told(tmp_path: Path) -> None:
    before = time.time()
    Story(tmp_path / "new" / "events.jsonl").tell(
        "node", "boots", where="i-1", state="booting", path=tmp_path
    )
    (event,), _ = read(tmp_path / "new" / "events.jsonl")
    assert before <= event.at <= time.time()
    facts = {"state": "booting", "path": str(tmp_path)}
    assert event == Event(at=event.at, kind="node", where="i-1", what="boots", facts=facts)


def test_facts_may_have_the_names_of_the_events_own_fields(tmp_path: Path) -> None:
    Story(tmp_path / "e").tell("stage", "boot", kind="a", what="b")
    assert read(tmp_path / "e")[0][0].facts == {"kind": "a", "what": "b"}


def test_facts_that_json_cannot_hold_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Story"):
        Story(tmp_path / "e").tell("note", "x", story=Story(tmp_path / "e"))
    assert read(tmp_path / "e") == ([], 0)


def test_a_file_that_is_not_there_yet_has_no_events(tmp_path: Path) -> None:
    assert read(tmp_path / "none", 7) == ([], 7)


def test_facts_may_be_like_events(tmp_path: Path) -> None:
    """Refusals have a time of their own, in front: it was taken for the beginning of a line."""
    story = Story(tmp_path / "e")
    story.tell("denied", "x", first={"at": 1.0, "who": "train"})
    assert [event.facts for event in read(story.path)[0]] == [{"first": {"at": 1.0, "who": "train"}}]


def test_every_event_is_read_once(tmp_path: Path) -> None:
    story = Story(tmp_path / "e")
    story.tell("note", "one")
    first, offset = read(story.path)
    story.tell("note", "zwei ö\n")
    second, end = read(story.path, offset)
    assert [event.what for event in (*first, *second)] == ["one", "zwei ö\n"]
    assert read(story.path, end) == ([], end)


def test_a_line_without_its_end_is_left_for_the_next_read(tmp_path: Path) -> None:
    story = Story(tmp_path / "e")
    story.tell("note", "one")
    story.tell("note", "two")
    text = story.path.read_bytes()
    story.path.write_bytes(text[:-10])
    first, offset = read(story.path)
    story.path.write_bytes(text)
    second, _ = read(story.path, offset)
    assert ([e.what for e in first], [e.what for e in second]) == (["one"], ["two"])


def test_what_follows_a_cut_line_is_read(tmp_path: Path) -> None:
    story = Story(tmp_path / "e")
    story.tell("note", "cut by a full disk")
    story.path.write_bytes(story.path.read_bytes()[:-10])
    story.tell("note", 'it says {"at": 1}')
    assert [event.what for event in read(story.path)[0]] == ['it says {"at": 1}']


def test_processes_and_threads_write_into_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "e"
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, path, name]) for name in ("i-1", "i-2")]
    with ThreadPoolExecutor(4) as threads:
        for number in range(200):
            threads.submit(Story(path).tell, "note", "y" * 5000, number=number)
    assert [process.wait() for process in processes] == [0, 0]
    events, _ = read(path)
    for where in ("i-1", "i-2", "operator"):
        assert sorted(e.facts["number"] for e in events if e.where == where) == [*range(200)]
    assert [e.facts["number"] for e in events if e.where == "i-1"] == [*range(200)]
