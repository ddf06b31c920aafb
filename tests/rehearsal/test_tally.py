"""The parts of a result: taken from files and ledgers as their writers write them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.cli.inference import Answer
from infra.cli.stack_file import stack_settings
from infra.cli.summary import Expected, serving_figures
from infra.prices import prices
from infra.rehearsal import tally
from infra.rehearsal.machine_facts import environment, said_by, version
from infra.rehearsal.result import Calls
from infra.rehearsal.run_cost import run_cost
from infra.rehearsal.scene import Scene, seen
from infra.rehearsal.story import Event, read
from model_code.compress.gate import Figures, judge
from tests.rehearsal.a_result import STORY

DEV = stack_settings("dev")


def scene() -> Scene:
    """Return how things stood at the end of the story."""
    return seen(read(STORY)[0])


def test_stages_and_nodes_have_their_times() -> None:
    assert {one.name: round(one.seconds, 1) for one in tally.stages_of(scene())} == {
        "engine": 3.2, "up": 32.7, "boot": 20.9, "training": 54.9, "compress": 18.9, "publish": 5.0, "serve": 30.8,
        "requests": 7.9, "destroy": 23.0,
    }  # fmt: skip
    nodes = {one.name: round(one.seconds, 1) for one in tally.nodes_of(scene())}
    assert nodes == {"train-1": 103.5, "train-2": 50.6, "train-3": 26.1, "serve-1": 46.0, "serve-2": 45.8}


def test_what_goes_on_has_taken_its_time_until_now() -> None:
    told = [
        Event(at=10.0, kind="stage", where="operator", what="up", facts={"name": "up", "state": "begun"}),
        Event(at=11.0, kind="node", where="i-1", what="", facts={"room": "train", "state": "running"}),
        Event(at=15.0, kind="note", where="operator", what="now"),
    ]
    assert tally.stages_of(seen(told))[0].seconds == 5.0
    assert tally.nodes_of(seen(told))[0].seconds == 4.0


def test_the_training_knows_its_restarts() -> None:
    trained = {
        "run_id": "a1", "world_size": 2, "steps": 120, "seconds": 42.0, "samples_per_s": 366.0, "parameters": 7,
    }  # fmt: skip
    training = tally.training_of(scene(), trained)
    assert (training.restarts, training.nodes, training.processes) == (1, 1, 2)


def test_the_gates_report_is_taken_over() -> None:
    base = Figures(
        name="baseline",
        metric=0.98,
        size_bytes=4000,
        latency_ms_batch1=2.0,
        latency_ms_serving_batch=8.0,
    )
    small = replace(base, name="prune-50", metric=0.96, size_bytes=1000)
    rows = [{**vars(one), **vars(judge(one, base, 0.99, higher_is_better=True))} for one in (base, small)]
    report = {
        "name": "m", "metric_name": "accuracy", "required_ratio": 0.99, "chosen": None,
        "baseline": vars(base), "candidates": rows,
    }  # fmt: skip
    release = tally.release_of(report, "")
    assert release.baseline.ratio == 1.0
    assert (release.chosen, release.version) == ("", "")
    assert [one.passed for one in release.candidates] == [True, False]
    assert release.candidates[1].reason.startswith("keeps 0.9796 of the quality")


def test_answers_are_counted() -> None:
    answers = [Answer(status=200, body={"label": "1", "score": 1.0}, milliseconds=float(n)) for n in (3, 1)]
    expected = [Expected(answer={"label": "1", "score": 1.0}, truth=truth) for truth in ("1", "2")]
    serving = tally.serving_of(
        serving_figures(answers, expected, 2.0, 1), seconds=2.0, concurrency=4, latencies_ms=[3.0, 1.0]
    )
    assert (serving.requests, serving.failed, serving.agreeing, serving.correct) == (2, 0, 2, 1)
    assert serving.requests_per_s == 1.0


def test_resources_are_counted_by_type_with_what_stands_behind_them() -> None:
    tokens = ["aws:s3/bucket:Bucket", "pulumi:pulumi:Stack", "aws:s3/bucket:Bucket", "aws:backup/plan:Plan"]
    found = [
        (one.type, one.count, one.kind) for one in tally.resources_of([*tokens, "skylift:index:Network"])
    ]
    assert found == [("aws:backup/plan:Plan", 1, "recorded"), ("aws:s3/bucket:Bucket", 2, "emulated")]


def test_calls_are_joined_over_their_outcome() -> None:
    one = {"who": "train", "service": "s3", "operation": "GetObject", "outcome": "allowed", "number": 3}
    assert tally.calls_of([one, {**one, "outcome": "denied", "number": 1}]) == (
        Calls(who="train", service="s3", action="GetObject", allowed=3, denied=1),
    )


def test_refusals_are_joined() -> None:
    one = {"who": "train", "action": "s3:GetObject", "resource": "arn:x", "why": "nothing allows it"}
    said = "train: s3:GetObject on arn:x, nothing allows it"
    assert tally.denials_of([one, one]) == (f"{said} (2 times)",)
    assert tally.denials_of([one]) == (said,)


def test_node_hours_cost_what_their_types_cost() -> None:
    """Two hours of nodes and a minute of everything else, which is billed as a whole hour."""
    stack = replace(
        DEV, train_instance_types=("g6.xlarge",), train_on_demand_base=0, train_on_demand_percentage=0
    )
    cost = run_cost(stack, {"train": 2.0, "serve": 0.0}, 1 / 60)
    parts = {one.name: one for one in cost.parts}
    price = prices(stack.region).instance("g6.xlarge")
    assert price is not None
    assert parts["training nodes"].low == pytest.approx(2 * price.spot_low)
    assert parts["training nodes"].high == pytest.approx(2 * price.spot_high)
    assert parts["serving nodes"].high == 0
    assert "1 h begun" in parts["all else"].note
    twice = run_cost(stack, {"train": 2.0, "serve": 0.0}, 1.5)
    assert twice.parts[-1].high == pytest.approx(2 * parts["all else"].high)
    assert cost.low <= cost.high


def test_the_same_hours_cost_the_same_whatever_the_serving_floor_is() -> None:
    hours = {"train": 0.1, "serve": 0.2}
    assert (
        run_cost(replace(DEV, serve_min_nodes=1, serve_max_nodes=4), hours, 0.1).parts[2]
        == run_cost(replace(DEV, serve_min_nodes=4, serve_max_nodes=4), hours, 0.1).parts[2]
    )


def test_the_environment_names_machine_and_versions() -> None:
    found = environment(
        {"haproxy": "HAProxy version 2.6.12-1+deb12u3 2025/10/03", "none": said_by(["no-such-x"])}
    )
    assert found.versions["haproxy"] == "2.6.12"
    assert found.versions["none"] == "?"
    assert found.versions["moto"] == "5.2.5"
    assert found.cores >= 1
    assert found.memory_gb > 0
    assert version("v3.230.0") == "3.230.0"
