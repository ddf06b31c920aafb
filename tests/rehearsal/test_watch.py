"""What a rehearsal's nodes and its account do becomes events: each thing once, from the files as nodes write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.changed_files import ChangedFiles
from infra.rehearsal.cloud_news import CloudNews
from infra.rehearsal.emulator import Emulator, start_emulator
from infra.rehearsal.provider.properties import Value
from infra.rehearsal.run_news import News, RunNews, steps_of
from infra.rehearsal.story import Event, Story, read
from infra.rehearsal.watch import Watch
from model_code.config import RunConfig, to_json
from model_code.data.index import DataIndex, ImageFacts, Shard, Split
from model_code.data.index import to_json as index_json
from model_code.membership import Member, Members
from model_code.recipes import resnet
from model_code.state import RunState, Stage

ONE = Member(launched="2026-11-28T02:00:00+00:00", id="i-0000000000000001", address="10.20.32.4")
TWO = Member(launched="2026-11-28T02:00:01+00:00", id="i-0000000000000002", address="10.20.48.4")
OUTPUTS = {"workUri": "s3://work", "modelsUri": "s3://models", "runId": "a1"}


def state(stage: Stage, **facts: Any) -> bytes:
    """Return a `state.json`."""
    return json.dumps(asdict(RunState(stage=stage, by=ONE.id, **facts))).encode()


def members(*ones: Member, epoch: int, active: int) -> bytes:
    """Return a `members.json`."""
    return Members(members=ones, epoch=epoch, active=active).encoded()


def rows(*steps: int, loss: float = 1.0) -> bytes:
    """Return a `metrics.jsonl` with a loss at each step and one measurement."""
    kept: list[dict[str, Any]] = [
        {"step": step, "split": "train", "loss": loss, "learning_rate": 0.1} for step in steps
    ]
    kept.append({"step": max(steps), "split": "validation", "accuracy": 0.9})
    return "".join(json.dumps(one) + "\n" for one in kept).encode()


def told(news: Iterator[News]) -> list[tuple[str, str]]:
    """Return kind and text of each event."""
    return [(one.kind, one.what) for one in news]


def test_a_start_of_the_training_is_told_with_what_each_node_does() -> None:
    run = RunNews()
    assert told(run.of_members(members(ONE, epoch=0, active=0))) == []
    assert told(run.of_duties()) == [("node", "prepares the data, leads")]
    assert told(run.of_state(state("training"))) == [("note", "run is training")]
    assert told(run.of_members(members(ONE, TWO, epoch=1, active=2))) == [
        ("note", f"epoch 1: {ONE.id}, {TWO.id}")
    ]
    assert told(run.of_duties()) == [("node", "trains, leads"), ("node", "trains")]
    assert told(run.of_members(members(ONE, TWO, epoch=1, active=2))) == []
    assert told(run.of_duties()) == []


def test_a_lost_leader_is_followed_by_the_next_epoch() -> None:
    run = RunNews(stage="training")
    list(run.of_members(members(ONE, TWO, epoch=1, active=2)))
    (news,) = run.of_members(members(TWO, epoch=2, active=1))
    assert (news.what, news.where) == (f"epoch 2: {TWO.id}", TWO.id)
    assert news.facts == {"epoch": 2, "trainers": [TWO.id]}
    assert [(one.what, one.where) for one in run.of_duties()] == [("trains, leads", TWO.id)]


@pytest.mark.parametrize(
    ("stage", "leader", "other"),
    [
        ("trained", "compresses, leads", "waits"),
        ("compressed", "signs and publishes, leads", "waits"),
        ("released", "raises the serving group, leads", "waits"),
        ("done", "stands down", "stands down"),
        ("refused", "stands down", "stands down"),
    ],
)
def test_after_the_training_the_leader_works_alone(stage: Stage, leader: str, other: str) -> None:
    run = RunNews(stage="training")
    list(run.of_members(members(ONE, TWO, epoch=1, active=2)))
    list(run.of_state(state(stage)))
    list(run.of_duties())
    assert run.does == {ONE.id: leader, TWO.id: other}


def test_a_refusal_says_why() -> None:
    (first, *_) = RunNews().of_state(state("refused", reason="no candidate keeps 99 %"))
    assert first.what == "run is refused: no candidate keeps 99 %"


def test_each_loss_is_told_once_and_again_where_its_step_is_done_again() -> None:
    run = RunNews(steps=60)
    first = list(run.of_metrics(rows(10, 20, 30)))
    assert [one.facts["step"] for one in first if one.kind == "loss"] == [10, 20, 30]
    assert first[0].what == "step 10 of 60: loss 1"
    assert first[-1].what == "step 30: validation accuracy 0.9000"
    assert told(run.of_metrics(rows(10, 20, 30))) == []
    assert told(run.of_metrics(rows(10)))[:-1] == []  # resumed after step 10: the others are to be done again
    again = [one.facts["step"] for one in run.of_metrics(rows(10, 20, 30, 40)) if one.kind == "loss"]
    assert again == [20, 30, 40]


def test_steps_are_counted_as_the_trainer_counts_them() -> None:
    shard = Shard(file="a.zst", samples=1437, bytes=1, raw_bytes=1, sha256="0" * 64)
    split = Split(samples=1437, shards=(shard,))
    index = DataIndex(
        kind="images",
        dataset="d",
        version="v",
        classes=("0", "1"),
        splits={"train": split},
        image=ImageFacts(channels=1, height=8, width=8),
    )
    config: RunConfig = resnet(index)
    wanted = config.train.steps or config.train.epochs * -(-1437 // config.train.global_batch)
    assert steps_of(to_json(config).encode(), index_json(index).encode()) == wanted


def test_a_refused_call_is_told_once_however_often_it_is_tried() -> None:
    cloud = CloudNews()
    refused = {
        "at": 1.0,
        "who": "train",
        "action": "s3:GetObject",
        "resource": "arn:x",
        "why": "nothing allows it",
    }
    assert told(cloud.of_denials([refused])) == [
        ("denied", "train: s3:GetObject on arn:x, nothing allows it")
    ]
    assert told(cloud.of_denials([refused])) == []
    assert told(cloud.of_denials([refused, {**refused, "at": 2.0}])) == []
    assert len(told(cloud.of_denials([{**refused, "at": 3.0, "resource": "arn:y"}]))) == 1
    assert cloud.denied[("train", "s3:GetObject", "arn:x")] == 2


def test_alarms_and_decisions_are_told_and_what_machines_tell_themselves_is_not() -> None:
    entries = [
        {"at": 1.0, "kind": "launched", "what": "launched", "facts": {"instance": "i-1"}},
        {"at": 2.0, "kind": "alarm", "what": "queue: ALARM", "facts": {"alarm": "queue", "state": "ALARM"}},
        {"at": 3.0, "kind": "resized", "what": "serve shall have 4 nodes", "facts": {"group": "serve"}},
    ]
    news = list(CloudNews().of_scaling(entries))
    assert told(iter(news)) == [("alarm", "queue: ALARM"), ("note", "serve shall have 4 nodes")]
    assert news[0].facts == {"alarm": "queue", "state": "ALARM"}


def test_requests_are_told_with_their_rate_and_silence_is_not() -> None:
    cloud = CloudNews()
    assert list(cloud.of_balancer(10.0, {"requests": 0, "failed": 0})) == []
    (news,) = cloud.of_balancer(12.0, {"requests": 100, "failed": 1, "p50_ms": 8.0})
    assert news.facts == {"answered": 100, "failed": 1, "per_s": 50.0, "p50_ms": 8.0}
    assert list(cloud.of_balancer(13.0, {"requests": 100, "failed": 1})) == []


def test_a_pointer_is_told_when_it_moves() -> None:
    cloud = CloudNews()

    def pointer(counter: int, percentage: int) -> bytes:
        fields = {"name": "m", "version": "v2", "counter": counter, "percentage": percentage, "previous": []}
        return json.dumps({"pointer": fields, "signature": "x"}).encode()

    assert told(cloud.of_pointer(pointer(1, 100))) == [("release", "m v2 is to be served (pointer 1)")]
    assert told(cloud.of_pointer(pointer(1, 100))) == []
    said = "m v2 is to be served for 50 % of the nodes (pointer 2)"
    assert told(cloud.of_pointer(pointer(2, 50))) == [("release", said)]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulated account with the buckets of a stack."""
    with start_emulator(tmp_path_factory.mktemp("emulator")) as running:
        s3 = running.client("s3")
        for bucket in ("work", "models", "data"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield running


class Counting:
    """An S3 client that counts what is asked of it."""

    def __init__(self, s3: Value) -> None:
        self.s3, self.gets = s3, 0

    def list_objects_v2(self, **asked: str) -> Value:
        """Hand it on."""
        return self.s3.list_objects_v2(**asked)

    def get_object(self, **asked: str) -> Value:
        """Count it and hand it on."""
        self.gets += 1
        return self.s3.get_object(**asked)


def test_a_file_is_read_when_it_has_changed_and_not_else(emulator: Emulator) -> None:
    s3 = Counting(emulator.client("s3"))
    files = ChangedFiles(s3, "s3://data/runs/x", "state.json".__eq__)
    assert files.look() == {}
    for name, content in (("state.json", b"1"), ("other", b"2"), ("checkpoints/state.json", b"3")):
        s3.s3.put_object(Bucket="data", Key=f"runs/x/{name}", Body=content)
    assert [files.look(), files.look()] == [{"state.json": b"1"}, {}]
    s3.s3.put_object(Bucket="data", Key="runs/x/state.json", Body=b"4")
    assert files.look() == {"state.json": b"4"}
    assert s3.gets == 2


def test_a_run_in_the_account_is_told(emulator: Emulator, tmp_path: Path) -> None:
    s3, story = emulator.client("s3"), Story(tmp_path / "events.jsonl")
    watch = Watch(emulator, story, OUTPUTS, stats=lambda: {"requests": 3, "failed": 0})
    offset = 0

    def put(name: str, content: bytes, bucket: str = "work") -> None:
        s3.put_object(Bucket=bucket, Key=name if bucket != "work" else f"runs/a1/{name}", Body=content)

    def news() -> list[Event]:
        nonlocal offset
        watch.look()
        events, offset = read(story.path, offset)
        return [one for one in events if "cannot be watched" not in one.what]

    first = news()
    assert [one.kind for one in first] == ["request"]
    put("state.json", state("training", shards="s3://data/d/v"))
    put("members.json", members(ONE, TWO, epoch=1, active=2))
    shard = {"train": {"samples": 100}}
    put("d/v/index.json", json.dumps({"kind": "images", "splits": shard}).encode(), "data")
    put("config.json", json.dumps({"train": {"steps": 0, "epochs": 3, "global_batch": 32}}).encode())
    put("metrics.jsonl", rows(10))
    kinds = [(one.kind, one.where) for one in news()]
    assert ("loss", ONE.id) in kinds
    assert kinds.count(("node", ONE.id)) == 1
    put("metrics.jsonl", rows(10, 12))
    (loss, *_) = news()
    assert loss.facts == {"step": 12, "steps": 12, "loss": 1.0}
    candidate: dict[str, Any] = {
        "name": "prune-50", "metric_name": "accuracy", "metric": 0.97, "size_bytes": 800_000, "latency_ms_batch1": 0.5,
    }  # fmt: skip
    put("state.json", state("trained"))
    put("candidates/prune-50/result.json", json.dumps(candidate).encode())
    assert "prune-50: accuracy 0.9700, 0.80 MB, 0.50 ms" in [one.what for one in news()]
    put("state.json", state("done", version="v2"))
    pointer = {"name": "m", "version": "v2", "counter": 1, "percentage": 100, "previous": []}
    put("m/current.json", json.dumps({"pointer": pointer}).encode(), "models")
    assert ("release", "m v2 is to be served (pointer 1)") in [(one.kind, one.what) for one in news()]
    assert news() == []


def test_an_account_that_does_not_answer_is_named_once_and_looked_at_again(
    emulator: Emulator, tmp_path: Path
) -> None:
    story = Story(tmp_path / "events.jsonl")
    watch = Watch(emulator, story, {**OUTPUTS, "workUri": "s3://none"})
    watch.look()
    watch.look()
    said = [one.what for one in read(story.path)[0] if "NoSuchBucket" in one.what]
    assert len(said) == 1


def test_a_watch_looks_a_last_time_when_it_is_stopped(emulator: Emulator, tmp_path: Path) -> None:
    story = Story(tmp_path / "events.jsonl")
    watch = Watch(emulator, story, OUTPUTS, stats=lambda: {"requests": 9, "failed": 0})
    watch.start()
    watch.stop()
    assert "9 requests answered, 0 failed, 0/s" in [one.what for one in read(story.path)[0]]
