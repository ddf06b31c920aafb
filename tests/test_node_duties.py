"""What a node does at each stage of its run: in this process, with stages of a line each, on an emulated AWS."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from obstore.exceptions import PermissionDeniedError

from model_code import node_commands, store
from model_code.errors import InputError
from model_code.instance import InstanceMetadata
from model_code.node import Node, main
from model_code.node_parts import NodeParts, assemble, count_gpus
from model_code.node_settings import read_settings
from model_code.scaling_group import make_clients
from model_code.state import RunState, Stage
from tests.metadata import MetadataServer
from tests.test_node_settings import ENVIRONMENT
from tests.training_group import (
    REGION,
    described,
    emulated,
    instances,
    make_group,
    serve_bundle,
)

WAY: tuple[Stage, ...] = ("prepare", "training", "trained", "compressed", "released", "done")
CONFIG = json.dumps({"train": {"global_batch": 64}}, indent=2)


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeParts]:
    """The only node of a group, leading it; what it would start is what `commands` says."""
    bundle, sha256 = serve_bundle(tmp_path)
    environment = {
        **ENVIRONMENT,
        **{f"SKYLIFT_{name}": (tmp_path / name).as_uri() for name in ("WORK", "DATA", "MODELS")},
        "SKYLIFT_GROUP": "train",
        "SKYLIFT_SERVE_GROUP": "serve",
        "SKYLIFT_SERVE_BUNDLE": bundle,
        "SKYLIFT_SERVE_BUNDLE_SHA256": sha256,
        "SKYLIFT_NODES": "1",
        "SKYLIFT_MIN_NODES": "1",
        "SKYLIFT_WAIT_FOR_FULL_SECONDS": "0",
        "SKYLIFT_POLL_SECONDS": "0.05",
    }
    server = MetadataServer()
    with emulated(monkeypatch):
        make_group("train", 1, "127.20.1.0/24")
        make_group("serve", 0, "127.20.2.0/24")
        (me,) = instances("train")
        server.values[me] = {"instance-id": me}
        metadata = InstanceMetadata(server.endpoint(me))
        server.values[me]["autoscaling/target-lifecycle-state"] = "InService"
        found = assemble(read_settings(environment), make_clients(REGION), metadata, gpus=0, notice_poll=0.05)
        yield found
        found.notice.stop() if found.notice._thread.is_alive() else None
    server.close()


def commands(monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """Have the stages be Python programs of a line each; one that is not named prints an empty object."""
    for stage in ("check", "data", "config", "train", "compress", "release"):
        code = programs.get(stage, "print('{}')")
        command = [sys.executable, "-c", code]
        monkeypatch.setattr(node_commands, f"{stage}_command", lambda *_, one=command: one)
        if stage == "train":
            monkeypatch.setattr("model_code.epoch.train_command", lambda *_, one=command: one)


def trained(parts: NodeParts) -> str:
    """Return a program that trains a run to its end."""
    path = store.local_path(store.join(parts.settings.run, "trained.json"))
    return f"open({str(path)!r}, 'w').write('x')"


def at(parts: NodeParts, stage: Stage) -> None:
    """Bring the run to a stage, with what was found out on the way."""
    for one in WAY[1 : WAY.index(stage) + 1]:
        facts: dict[str, Any] = {"shards": "s3://d/v", "global_batch": 64} if one == "training" else {}
        parts.state.move(one, **facts)


def ends(parts: NodeParts, monkeypatch: pytest.MonkeyPatch) -> RunState:
    """Let a node work until its run is over; it is terminated then."""
    monkeypatch.setattr(Node, "await_end", lambda _: None)
    Node(parts).run()
    return parts.state.read()


def test_a_run_goes_all_the_way(parts: NodeParts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared, trained, compressed, released; then serving has its floor, and the own group is empty."""
    commands(
        monkeypatch,
        data="""print('{"uri": "s3://data/reviews/v1"}')""",
        config=f"print({CONFIG!r})",
        train=trained(parts),
        release="""print('{"version": "0123456789abcdef"}')""",
    )
    state = ends(parts, monkeypatch)
    assert (state.stage, state.shards, state.global_batch) == ("done", "s3://data/reviews/v1", 64)
    assert (state.version, state.reason) == ("0123456789abcdef", "")
    assert described("serve")["MinSize"] == 2
    assert (described("train")["DesiredCapacity"], instances("train")) == (0, [])


def test_ready_shards_are_not_prepared(parts: NodeParts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is their URI."""
    object.__setattr__(parts.settings, "source", "s3://data/reviews/v7")
    commands(monkeypatch, data="import sys; sys.exit(1)", config=f"print({CONFIG!r})", train=trained(parts),
             release="""print('{"version": "0123456789abcdef"}')""")  # fmt: skip
    assert ends(parts, monkeypatch).shards == "s3://data/reviews/v7"


def test_a_batch_that_leaves_a_node_without_a_share_ends_the_run(
    parts: NodeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that could only wait is not paid for."""
    object.__setattr__(parts.settings, "nodes", 3)
    commands(monkeypatch, data="""print('{"uri": "s3://d/v"}')""", config=f"print({CONFIG!r})")
    state = ends(parts, monkeypatch)
    assert state.stage == "failed"
    assert "multiple of the group's 3 training processes (3 nodes of 1), got 64" in state.reason
    assert described("train")["DesiredCapacity"] == 0


BAD = "import sys; sys.stderr.write('error: recipe must be known, got `x`\\n'); sys.exit(2)"


@pytest.mark.parametrize("stage", ["check", "data", "config", "train", "compress", "release"])
def test_bad_input_ends_the_run_for_good(
    parts: NodeParts, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """`state.json` says why, in the stage's own words; no GPU waits for somebody to read it."""
    good = {
        "data": """print('{"uri": "s3://d/v"}')""",
        "config": f"print({CONFIG!r})",
        "train": trained(parts),
    }
    commands(monkeypatch, **{**good, stage: BAD})
    state = ends(parts, monkeypatch)
    assert (state.stage, state.reason) == ("failed", "recipe must be known, got `x`")
    assert described("train")["DesiredCapacity"] == 0
    assert described("serve")["MinSize"] == 0


def test_what_the_gate_refuses_is_not_published(parts: NodeParts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says no: the run is refused, and serving stays as it is."""
    report = dict.fromkeys(("run_id", "name", "chosen", "mar_sha256", "metric_name", "machine"), "x")
    content = json.dumps({**report, "passed": False, "candidates": []})
    store.write(store.join(parts.settings.run, "report.json"), content.encode())
    at(parts, "trained")
    commands(monkeypatch, compress="import sys; sys.stderr.write('error: no candidate\\n'); sys.exit(1)")
    state = ends(parts, monkeypatch)
    assert (state.stage, state.reason) == ("refused", "no candidate")
    assert described("train")["DesiredCapacity"] == 0


def test_a_stage_that_fails_is_tried_again(parts: NodeParts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times; a full disk, a lost connection. The third time it is the run that has failed."""
    marks = Path(store.local_path(parts.settings.work) or "") / "marks"
    marks.parent.mkdir(parents=True, exist_ok=True)
    fails = (
        f"open({str(marks)!r}, 'a').write('x'); import sys; sys.stderr.write('error: full\\n'); sys.exit(1)"
    )
    at(parts, "compressed")
    commands(monkeypatch, release=fails)
    state = ends(parts, monkeypatch)
    assert (state.stage, state.reason, marks.read_text()) == ("failed", "full", "xxx")


def test_another_bundle_than_was_meant_fails_the_run(
    parts: NodeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never packed."""
    object.__setattr__(parts.settings, "serve_bundle_sha256", "0" * 64)
    at(parts, "trained")
    commands(monkeypatch)
    state = ends(parts, monkeypatch)
    assert state.stage == "failed"
    assert "nothing of it is used" in state.reason


@pytest.mark.parametrize("stage", ["done", "refused", "failed"])
def test_a_node_that_boots_into_a_run_that_is_over_stands_down_at_once(
    parts: NodeParts, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    """Nothing is started, nobody becomes a member, and the group is emptied."""
    at(parts, {"done": "released", "refused": "trained", "failed": "training"}[stage])  # type: ignore[arg-type]
    parts.state.move(stage)
    commands(monkeypatch, **dict.fromkeys(("check", "train", "compress", "release"), BAD))
    assert ends(parts, monkeypatch).stage == stage
    assert parts.roster.read() is None
    assert described("train")["DesiredCapacity"] == 0


def test_serving_that_cannot_be_raised_ends_the_run_all_the_same(
    parts: NodeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release is out; a GPU node that asks for ever would cost more. The file says what is left to do."""
    monkeypatch.setattr("model_code.node.MOST_ASKED", 2)

    def refuse(_: int) -> bool:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "UpdateAutoScalingGroup")

    monkeypatch.setattr(parts.serving, "raise_floor", refuse)
    at(parts, "released")
    commands(monkeypatch)
    state = ends(parts, monkeypatch)
    assert (state.stage, state.reason) == ("done", "serve could not be raised to 2 nodes")


def test_training_that_breaks_again_and_again_fails_the_run(
    parts: NodeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a new checkpoint between; with the trainers' last word."""
    monkeypatch.setattr("model_code.epoch.MOST_RESTARTS", 2)
    monkeypatch.setattr("model_code.epoch.LONGEST_BACKOFF", 0.01)
    at(parts, "training")
    commands(monkeypatch, train="import sys; sys.stderr.write('error: loss is nan\\n'); sys.exit(1)")
    state = ends(parts, monkeypatch)
    assert (state.stage, state.reason) == ("failed", "training failed 3 times after step 0: loss is nan")


def test_on_notice_the_trainers_save_and_the_node_leaves(
    parts: NodeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are asked, not killed; the group goes on, the run is not over, and the hook is answered."""
    saved = Path(store.local_path(parts.settings.work) or "") / "saved"
    waits = (
        "import signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(open({str(saved)!r}, 'w').close()))\n"
        f"open({str(saved.with_name('began'))!r}, 'w').close()\n"
        "time.sleep(600)\n"
    )
    at(parts, "training")
    commands(monkeypatch, train=waits)
    went: list[str] = []
    monkeypatch.setattr(parts.group, "let_go", went.append)
    notice: Callable[[], str] = parts.metadata.notice
    monkeypatch.setattr(
        parts.metadata,
        "notice",
        lambda: "spot interruption: terminate" if saved.with_name("began").exists() else notice(),
    )
    monkeypatch.setattr(parts.metadata, "terminating", lambda: True)
    Node(parts).run()
    assert saved.exists()
    assert went == [parts.me]
    members = parts.roster.read()
    assert members is not None
    assert (members.members, members.here, members.active, members.broken) == ((), (), 0, 0)
    assert parts.state.read().stage == "training"
    assert described("train")["DesiredCapacity"] == 1


def test_a_while_without_credentials_ends_nothing(
    parts: NodeParts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The role's credentials expire and come late: it is said once, and the run goes all the way."""
    monkeypatch.setattr("model_code.node_parts.TICK", 0.02)
    monkeypatch.setattr("model_code.node.TICK", 0.02)
    read, refused = parts.state.read, iter(range(20))

    def refuse() -> RunState:
        if next(refused, None) is not None:
            raise PermissionDeniedError("the credentials have expired")
        return read()

    monkeypatch.setattr(parts.state, "read", refuse)
    commands(monkeypatch, data="""print('{"uri": "s3://d/v"}')""", config=f"print({CONFIG!r})",
             train=trained(parts), release="""print('{"version": "0123456789abcdef"}')""")  # fmt: skip
    assert ends(parts, monkeypatch).stage == "done"
    said = capsys.readouterr().err
    assert said.count("warning: AWS does not answer: the credentials have expired; trying again") == 1


def test_gpus_are_counted_by_their_devices(tmp_path: Path) -> None:
    """Without loading anything: `nvidiactl` and the like are none."""
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert count_gpus(tmp_path) == 2


def test_words_are_refused() -> None:
    """All is read from the environment."""
    with pytest.raises(InputError, match=r"model_code\.node takes no words, got `--help`; it reads the env"):
        main(["--help"])
