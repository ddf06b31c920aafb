"""`skylift rehearse` on the command line: what is asked for, what is refused at once, what is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli import rehearse_command
from infra.cli.errors import InputError, RunFailedError
from infra.cli.rehearse_command import console_of, last_words, plan, stack_words
from infra.rehearsal import detached
from infra.rehearsal.folder import Folder, folder_at, held
from infra.rehearsal.plan import Plan
from infra.rehearsal.result import INTERRUPTED
from infra.rehearsal.story import Story
from tests.rehearsal.a_result import a_result


def asked(
    *, recipe: str = "", data: str = "", settings: tuple[str, ...] = (), config: tuple[str, ...] = ()
) -> Plan:
    """Return the plan of some words."""
    return plan(recipe, data, settings, config, (), keep=False)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Of a rehearsal with one node."""
    folder = folder_at(str(tmp_path))
    story = Story(folder.events)
    story.tell("node", "train is booting", instance="i-1", room="train", state="booting", where="i-1")
    (folder.nodes / "i-1").mkdir(parents=True)
    (folder.nodes / "i-1" / "console.log").write_text("it boots\n")
    return folder


def test_without_words_digits_are_trained_as_the_stack_s_file_says() -> None:
    """The file says the rest."""
    assert asked() == Plan(
        engine="",
        config={"skylift:recipe": "resnet", "skylift:data": "digits", "skylift:settings": []},
    )


def test_settings_of_training_and_stack_are_the_stack_s() -> None:
    """As `pulumi up -c` and the stack's file would have them."""
    found = asked(settings=("train.epochs=3",), config=("trainNodes=3", "aws:region=us-east-1"))
    assert found.config["skylift:settings"] == ["train.epochs=3"]
    assert found.config["skylift:trainNodes"] == 3
    assert found.config["aws:region"] == "us-east-1"


def test_local_data_are_uploaded(tmp_path: Path) -> None:
    """A source by way of shards, ready shards as they are; the stack is told of their bucket."""
    (tmp_path / "texts.csv").write_text("text,label\na,b\n")
    found = asked(data=f"text:{tmp_path / 'texts.csv'}")
    assert (found.source, found.shards) == (f"text:{tmp_path / 'texts.csv'}", "")
    assert found.config["skylift:recipe"] == "bert"
    assert found.config["skylift:data"] == "s3://operators-own-data/data"
    shards = tmp_path / "cats" / "1"
    shards.mkdir(parents=True)
    (shards / "index.json").write_text("{}")
    found = asked(recipe="resnet", data=shards.as_uri())
    assert (found.source, found.shards) == ("", str(shards))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"config": ("trainNodes",)}, "--config must be KEY=VALUE, got `trainNodes`"),
        ({"config": ("trainNode=3",)}, "`skylift:trainNode` is no setting of this project; did you mean `trainNodes`?"),
        ({"config": ("serveMinNodes=9",)}, "serveMinNodes must be at most serveMaxNodes (4), got 9"),
        ({"config": ("responseSeconds=60",)}, "responseSeconds must be at most drainSeconds (20)"),
        ({"data": "text:s3://bucket/file.csv"}, "--data must lie on this machine, got `text:s3://bucket/file.csv`"),
        ({"data": "images:/nowhere"}, "--data must exist, not found: `/nowhere`"),
    ],
)  # fmt: skip
def test_what_would_fail_later_is_refused_at_once(words: dict[str, str], message: str) -> None:
    """Before anything is started: nobody waits five minutes for it."""
    with pytest.raises(InputError) as refused:
        asked(**words)  # type: ignore[arg-type]
    assert str(refused.value).startswith(message)


def test_values_are_read_as_yaml() -> None:
    """A list is a list, a number a number, and nothing is the empty text."""
    words = ['trainInstanceTypes=["g5.xlarge"]', "efa=true", "domain=", "owner=a=b"]
    assert stack_words(words) == {
        "skylift:trainInstanceTypes": ["g5.xlarge"],
        "skylift:efa": True,
        "skylift:domain": "",
        "skylift:owner": "a=b",
    }


def test_a_node_is_found_by_its_name_and_by_its_id(folder: Folder) -> None:
    """Others are named."""
    assert console_of(folder, "train-1") == console_of(folder, "i-1") == folder.nodes / "i-1" / "console.log"
    with pytest.raises(InputError, match=r"got `serve-1`; there are: train-1"):
        console_of(folder, "serve-1")


def test_logs_and_status_of_a_rehearsal_that_is_over(folder: Folder) -> None:
    """Both are read from its folder: nothing need run."""
    runner = CliRunner()
    said = runner.invoke(rehearse_command.app, ["logs", "train-1", "--follow", "--out", str(folder.path)])
    assert (said.exit_code, said.stdout) == (0, "it boots\n")
    said = runner.invoke(rehearse_command.app, ["status", "--out", str(folder.path)])
    assert "train-1" in said.stdout
    assert said.stdout.endswith("over: it did not come to its end\n")


def test_a_second_rehearsal_in_the_same_folder_is_refused(folder: Folder) -> None:
    """In one line that says how to end the first."""
    with held(folder):
        said = CliRunner().invoke(rehearse_command.app, ["down", "--out", str(folder.path)])
        assert isinstance(said.exception, RunFailedError)  # it is up, and no world of ours
    said = CliRunner().invoke(rehearse_command.app, ["down", "--out", str(folder.path)])
    assert said.exit_code == 0


@pytest.mark.parametrize("has_result", [True, False])
def test_one_that_is_not_over_is_ended_without_a_failure(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, has_result: bool
) -> None:
    """That is what was asked for; any other end of it is said, and its code is 1."""
    ends = {"reason": INTERRUPTED}

    def end(*_: object) -> None:
        if has_result:
            folder.result.write_bytes(replace(a_result(), outcome=ends["reason"]).to_json())
        else:
            Story(folder.events).tell("note", "failed", failed=ends["reason"])

    monkeypatch.setattr(detached, "down", end)
    monkeypatch.setattr("infra.rehearsal.folder.is_up", lambda _: True)
    runner, words = CliRunner(), ["down", "--out", str(folder.path)]
    done = runner.invoke(rehearse_command.app, words)
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        0,
        "it was ended before it was over; nothing of it is up",
    )
    folder.events.unlink()
    ends["reason"] = "left over: a bucket"
    failed = runner.invoke(rehearse_command.app, words)
    assert isinstance(failed.exception, RunFailedError)
    assert "left over: a bucket" in str(failed.exception)


def test_why_a_world_ended_without_a_result(folder: Folder) -> None:
    """What it told, else the end of its log, else that it was killed."""
    assert "it was killed (its log: " in last_words(folder)
    folder.log.write_text("Traceback\nValueError: x\n")
    assert "ended before it was over: ValueError: x" in last_words(folder)
    Story(folder.events).tell("note", "failed", failed="no haproxy")
    assert "ended before it was over: no haproxy" in last_words(folder)


def test_facts_of_a_kept_one_are_told(folder: Folder) -> None:
    """How to call it stands in its folder, too."""
    folder.write(kept=True, call="curl it")
    with held(folder):
        said = CliRunner().invoke(rehearse_command.app, ["status", "--out", str(folder.path)])
    assert said.stdout.endswith("up; call it: curl it\n")
    assert json.loads(folder.facts.read_text()) == {"kept": True, "call": "curl it"}
