"""What people see of a rehearsal: the timeline line by line, and in a terminal how things stand."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from infra.rehearsal.curves import curve
from infra.rehearsal.scene import Scene, seen
from infra.rehearsal.story import Event, Story, read
from infra.rehearsal.timeline import Timeline, clock
from infra.rehearsal.view import Picture, follow
from tests.rehearsal.a_result import STORY


def events(until: float = 1e9) -> list[Event]:
    """Return what was told in the first seconds of the story."""
    told, _ = read(STORY)
    return [event for event in told if event.at - told[0].at <= until]


def drawn(scene: Scene, monkeypatch: pytest.MonkeyPatch, width: int = 80) -> list[str]:
    """Return the picture of a scene."""
    monkeypatch.setattr("infra.rehearsal.view.time.time", lambda: scene.now)
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(Picture(scene))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def followed(path: Path, until: Callable[[], bool], *, terminal: bool = False) -> str:
    """Return what `follow` shows."""
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal, color_system=None)
    follow(path, console, until)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_picture_says_how_things_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(seen(events(100)), monkeypatch)
    assert lines[0].startswith("rehearsal 1:39 ─")
    assert lines[1] == "✓ engine 0:03   ✓ up 0:32   ✓ boot 0:20   ▸ training 0:42"
    assert lines[2] == "train-1  i-0a1b2c3d4e5f60001  10.20.32.4  running  trains, leads"
    assert lines[3] == "train-3  i-0a1b2c3d4e5f60005  10.20.48.6  booting"
    assert [line[:10].strip() for line in lines[4:]] == ["loss", "0.2374", "95/120"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_picture_fits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for until in range(0, 200, 7):
        lines = drawn(seen(events(until)), monkeypatch, width)
        assert max(map(len, lines)) <= width
        assert len(lines) <= 12


def test_the_picture_does_not_shrink_when_nodes_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.rehearsal.view.time.time", lambda: 0.0)
    timeline, heights = Timeline(), []
    picture = Picture(timeline.scene)
    for event in events():
        timeline.lines([event])
        console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
        console.print(picture)
        heights.append(console.file.getvalue().count("\n"))  # type: ignore[attr-defined]
    assert heights == sorted(heights)
    assert heights[-1] > heights[0]


def test_requests_are_shown_with_their_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "requests  360 answered  51/s  p50 22.0 ms  0 failed" in drawn(seen(events()), monkeypatch)
    event = Event(at=1.0, kind="request", where="balancer", what="", facts={"answered": 7, "failed": 2})
    assert drawn(seen([event]), monkeypatch)[-1] == "requests  7 answered  2 failed"


def test_steps_that_are_done_again_are_drawn_once() -> None:
    losses = [
        Event(at=1.0, kind="loss", where="i", what="", facts={"step": step, "loss": loss})
        for step, loss in ((10, 3.0), (20, 2.0), (30, 1.0), (20, 2.5), (30, 1.5))
    ]
    assert seen(losses).losses == [(10, 3.0), (20, 2.5), (30, 1.5)]


def test_a_stage_that_failed_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Event(
        at=9.0,
        kind="stage",
        where="operator",
        what="up",
        facts={"name": "up", "state": "failed", "seconds": 4},
    )
    assert "✗ up 0:04" in drawn(seen([failed]), monkeypatch)
    assert "✗ up" in Timeline().lines([failed])[0].plain


def test_the_timeline_says_when_where_and_what() -> None:
    lines = [line.plain for line in Timeline().lines(events())]
    assert lines[:2] == [" 0:00.0  operator  ▸ engine", " 0:03.2  operator  ✓ engine: done in 3.2 s"]
    assert " 1:27.2  train-2   follower killed" in lines
    assert " 0:54.0  train-1   epoch 1: train-1, train-2" in lines  # not their ids
    assert not any("pending" in line for line in lines)
    assert sum("loss" in line for line in lines) < sum(event.kind == "loss" for event in events())


def test_without_a_terminal_the_lines_are_all_there_is() -> None:
    assert followed(STORY, lambda: True).splitlines() == [line.plain for line in Timeline().lines(events())]


def test_a_long_line_is_not_broken_in_a_log(tmp_path: Path) -> None:
    Story(tmp_path / "e").tell("note", "x" * 300)
    assert len(followed(tmp_path / "e", lambda: True).splitlines()) == 1


def test_what_is_told_before_the_end_is_shown(tmp_path: Path) -> None:
    story = Story(tmp_path / "e")

    def until() -> bool:
        story.tell("note", "the last word")
        return True

    assert "the last word" in followed(story.path, until)


def test_a_terminal_shows_lines_and_the_picture_and_leaves_the_lines(tmp_path: Path) -> None:
    story, asked = Story(tmp_path / "e"), count()

    def until() -> bool:
        story.tell("stage", "pulumi up", name="up", state="begun")
        return next(asked) == 1

    said = followed(story.path, until, terminal=True)
    assert "operator  ▸ pulumi up" in said
    assert "rehearsal 0:00" in said
    assert said.rstrip().endswith(("\x1b[?25h", "\x1b[2K"))  # the cursor is back, the picture is wiped


def test_times_are_read_as_minutes() -> None:
    assert [clock(one) for one in (0, 59.94, 59.96, 61.25, 600, -1)] == [
        "0:00.0", "0:59.9", "1:00.0", "1:01.2", "10:00.0", "0:00.0",
    ]  # fmt: skip


def test_a_curve_is_high_where_values_are() -> None:
    assert curve([4, 3, 2, 1, 1], width=7, height=2) == ["█▃     ", "██▆▁▁  "]
    assert curve([1, 1], width=3, height=1) == ["▁▁ "]
    assert curve([], width=3, height=2) == ["   ", "   "]
    assert len(curve(range(1000), width=20, height=1)[0]) == 20


def test_a_node_does_what_the_load_balancer_says_of_it() -> None:
    told = [one for one in events(175) if one.facts.get("health")]
    assert [node.does for node in seen(events(175)).nodes.values() if node.room == "serve"] == ["serves"] * 2
    sick = Event(at=told[-1].at + 1, kind="note", where="balancer", what="", facts={"health": "unhealthy"})
    sick.facts["instance"] = told[0].facts["instance"]
    assert seen([*events(175), sick]).nodes[told[0].facts["instance"]].does == "is not ready"


def test_the_verdict_on_a_fault_is_not_another_fault() -> None:
    facts = {"name": "leader-killed", "state": "begun"}
    begun = Event(at=1.0, kind="fault", where="operator", what="leader killed", facts=facts)
    done = Event(at=2.0, kind="fault", where="operator", what="kept", facts={**facts, "state": "done"})
    assert seen([begun, done]).faults == [begun]
