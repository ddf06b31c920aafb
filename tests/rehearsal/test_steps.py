"""What a rehearsal waits for, what it calls a failure, and how it says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import CommandError

from infra.cli.errors import RunFailedError
from infra.rehearsal.asking import Asked
from infra.rehearsal.conclusion import Findings
from infra.rehearsal.faults.fault import Row
from infra.rehearsal.keeping import curl
from infra.rehearsal.plan import Plan
from infra.rehearsal.rehearse import require_success, shortcomings
from infra.rehearsal.stages import awaited, said, stage
from infra.rehearsal.story import Story, read
from infra.rehearsal.training import require_boots


def good(**changed: Any) -> Findings:
    """Return what a rehearsal saw that went well."""
    figures = {"requests": 180, "agreeing": 180, "failed": 0}
    facts = {
        "trained": {"world_size": 2},
        "asked": Asked(figures=figures, seconds=1.0, latencies_ms=(1.0,)),
        "tokenless": 401,
        "changes": {},
        "left": [],
    }
    return Findings(**{**facts, **changed})


def test_a_rehearsal_that_went_well_has_no_shortcomings() -> None:
    """Nor one that is kept: nothing was destroyed yet."""
    assert shortcomings(good(), 2) == []
    require_success(good(left=None), 2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trained": {"world_size": 1}}, "2 processes were to train together, 1 did"),
        (
            {
                "asked": Asked(
                    figures={"requests": 9, "agreeing": 7, "failed": 1}, seconds=1.0, latencies_ms=()
                )
            },
            "7 of 9 answers agree with the release's own, 1 requests failed",
        ),
        ({"tokenless": 200}, "a client without a token must get 401, it got 200"),
        (
            {"changes": {"update": {"b", "a"}}},
            "another `pulumi up` would change something: update a, update b",
        ),
        ({"left": ["bucket x"]}, "`destroy` left something: bucket x"),
        (
            {
                "faults": [
                    Row(
                        name="n",
                        title="node killed",
                        promise="resumes",
                        kept=False,
                        what="did not",
                        recovery_seconds=None,
                    )
                ]
            },
            "node killed: resumes: did not",
        ),
    ],
)
def test_what_did_not_hold_is_said(changed: dict[str, Any], said: str) -> None:
    """In one line each; all of them end the rehearsal with a failure."""
    assert shortcomings(good(**changed), 2) == [said]
    with pytest.raises(RunFailedError, match=r".+"):
        require_success(good(**changed), 2)


def test_a_refusal_that_nobody_expects_is_a_shortcoming() -> None:
    """The deployed policies must do for all that nodes do."""
    denial = {"who": "train", "action": "s3:GetObject", "resource": "r", "why": "no statement allows it"}
    (found,) = shortcomings(good(denials=[denial, denial]), 2)
    assert found == "refused: train: s3:GetObject on r, no statement allows it (2 times)"


def test_a_stage_is_told_with_its_time(tmp_path: Path) -> None:
    """When it fails, too, and why."""
    story = Story(tmp_path / "e")
    with stage(story, "up"):
        pass
    with pytest.raises(RunFailedError), stage(story, "boot"):
        raise RunFailedError("no node came")
    told = [(one.facts["name"], one.facts["state"]) for one in read(story.path)[0]]
    assert told == [("up", "begun"), ("up", "done"), ("boot", "begun"), ("boot", "failed")]
    assert read(story.path)[0][-1].what == "boot: no node came"


def test_what_is_awaited_is_returned_as_soon_as_it_is_there(tmp_path: Path) -> None:
    """It is looked for again and again."""
    found = iter([None, None, "here"])
    assert awaited(Story(tmp_path / "e"), "it", lambda: next(found)) == "here"


def test_nothing_is_awaited_for_ever(tmp_path: Path) -> None:
    """As long as anything happens there is hope; then none."""
    story, looks = Story(tmp_path / "e"), []

    def look() -> None:
        looks.append(1)
        if len(looks) < 3:
            story.tell("note", "still something")

    with pytest.raises(
        RunFailedError, match=r"a node must come, nothing has happened for 1 s; see the nodes' logs"
    ):
        awaited(story, "a node", look, silent_seconds=1.2)
    assert len(looks) > 3


def test_a_plan_crosses_as_it_is(tmp_path: Path) -> None:
    """From the command line to the world."""
    plan = Plan(engine="/e", config={"skylift:trainNodes": 3}, faults=("a", "b"), keep=True)
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan


def test_how_a_kept_one_is_called() -> None:
    """From outside of its network, by the door; the token stands in no list of processes' arguments of ours."""
    line = curl(
        door=Path("/short/door.sock"),
        ca=Path("/out dir/lb.pem"),
        token=Path("/out dir/token"),
        body=Path("/out dir/example"),
        content_type="image/png",
        url="https://lb.example/predictions/model",
    )
    assert line == (
        "curl --unix-socket /short/door.sock --cacert '/out dir/lb.pem' --header 'Content-Type: image/png' "
        "--data-binary '@/out dir/example' --header \"Authorization: Bearer $(cat '/out dir/token')\" "
        "https://lb.example/predictions/model"
    )


def test_of_all_that_the_engine_printed_its_errors_are_said() -> None:
    """Each once."""

    class Result:
        code, stdout, stderr = 255, "+ aws:kms:Key\n    error: no key\nUpdating\n    error: no key\n", ""

        def __str__(self) -> str:
            return f"code: {self.code}\n stdout: {self.stdout}\n stderr: {self.stderr}"

    assert said(CommandError(Result())) == "error: no key"  # type: ignore[arg-type]
    assert said(OSError("two\nlines")) == "two lines"


def test_nodes_that_cannot_boot_are_not_launched_for_ever(tmp_path: Path) -> None:
    """The first one's last words are said."""
    require_boots(tmp_path / "none-yet", 0)
    for at, name in enumerate(("i-2", "i-1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "console.log").write_text(f"skylift: hello\nskylift: cannot boot: {name}\n")
        os.utime(tmp_path / name, (at, at))  # two folders made at once may bear the same time
    require_boots(tmp_path, 2)
    with pytest.raises(
        RunFailedError, match=r"2 were launched and none began; the first said: .* cannot boot: i-2"
    ):
        require_boots(tmp_path, 1)
