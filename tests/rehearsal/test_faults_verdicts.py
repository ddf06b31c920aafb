"""How faults are judged: what keeps a promise, what breaks it, and what the table says of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.cli.errors import InputError
from infra.rehearsal.faults import deploying, disturbed, served, undisturbed
from infra.rehearsal.faults.deploying import Throttled, Up
from infra.rehearsal.faults.disturbed import Disturbed
from infra.rehearsal.faults.fault import Row, Seen
from infra.rehearsal.faults.load import Asked
from infra.rehearsal.faults.registry import FAULTS, chosen
from infra.rehearsal.faults.served import Served
from infra.rehearsal.faults.trials import broken, settings

NAMES = """
leader-killed follower-killed both-killed spot-notice node-hangs node-slow s3-refuses s3-slow torn-upload flipped-byte
disk-full credentials-expired serving-node-killed worker-killed server-killed wrong-golden bad-signature rollback
instance-refresh scale throttled-boot up-interrupted up-again
"""
KILLED = Disturbed(every=50, saved=200, done=230.4, resumed=200, seconds=31.5, later=250)


def test_a_training_that_goes_on_after_the_newest_checkpoint_has_resumed() -> None:
    assert disturbed.resumes(KILLED) == Seen(
        kept=True,
        what="went on after step 200, 30 steps done again (a checkpoint every 50)",
        recovery_seconds=31.5,
    )


@pytest.mark.parametrize(
    "found",
    [
        replace(KILLED, resumed=150),  # an older checkpoint than the newest
        replace(KILLED, resumed=0),  # from the beginning
        replace(KILLED, done=251.0),  # more than an interval
        replace(KILLED, later=200),  # it does not get on
        replace(KILLED, wrong="no request was harmed"),
    ],
)
def test_more_than_an_interval_lost_breaks_the_promise(found: Disturbed) -> None:
    assert not disturbed.resumes(found).kept


def test_a_training_that_was_never_interrupted_has_nothing_to_recover() -> None:
    seen = disturbed.resumes(replace(KILLED, resumed=None, what="12 requests harmed"))
    assert seen == Seen(kept=True, what="went on without a restart; 12 requests harmed")
    assert disturbed.goes_on(replace(KILLED, resumed=None)).kept
    assert not disturbed.goes_on(KILLED).kept
    assert not disturbed.goes_on(replace(KILLED, resumed=None, wrong="another one was named")).kept


def test_a_notice_loses_no_step() -> None:
    assert disturbed.loses_nothing(replace(KILLED, resumed=231, done=231.0)).kept
    assert not disturbed.loses_nothing(replace(KILLED, resumed=230, done=231.0)).kept
    assert not disturbed.loses_nothing(replace(KILLED, resumed=None)).kept
    assert not disturbed.loses_nothing(replace(KILLED, resumed=200, done=200.0)).kept  # nothing was saved


def test_what_is_damaged_must_be_said_and_not_used() -> None:
    passed = replace(KILLED, resumed=150, passed_over=("step-000000200: a.safetensors has SHA-256 1, …",))
    seen = disturbed.passes_over(passed)
    assert seen.kept
    assert "step-000000200: a.safetensors" in seen.what
    assert not disturbed.passes_over(KILLED).kept
    assert not disturbed.passes_over(replace(passed, resumed=100)).kept  # more than the damaged one


OK = Asked(begun=10.0, ended=10.2, status=200, wrong="")
LOST = Asked(begun=10.4, ended=10.6, status=502, wrong="status 502: Bad Gateway")
SERVED = Served(asked=[OK, LOST], begun=10.5, gone=10.55, good=10.9, whole=12.0, most=8)


def test_only_what_was_in_flight_may_fail() -> None:
    seen = served.fails_in_flight(SERVED)
    assert seen == Seen(kept=True, what="1 of 2 requests failed (1 status 502)", recovery_seconds=1.5)
    assert not served.fails_nothing(SERVED).kept
    assert served.fails_nothing(replace(SERVED, asked=[OK])).kept


@pytest.mark.parametrize(
    "found",
    [
        replace(SERVED, asked=[replace(LOST, begun=10.6, ended=10.7)]),  # sent when all knew
        replace(SERVED, asked=[replace(LOST, ended=10.45)]),  # failed before the harm
        replace(SERVED, asked=[LOST] * 9),  # more than could be in flight
        replace(SERVED, asked=[replace(LOST, status=200, wrong="answered 1, golden is 2")]),
        replace(SERVED, asked=[]),  # nobody asked
    ],
)
def test_whatever_else_fails_breaks_the_promise(found: Served) -> None:
    assert not served.fails_in_flight(found).kept


def test_nodes_boot_though_all_services_refuse() -> None:
    found = Throttled(refused={"ec2": 8, "autoscaling": 8, "kms": 0, "s3": 8}, seconds=61.2)
    seen = deploying.boots_all_the_same(found)
    assert seen.kept
    assert seen.what.startswith("calls refused: 8 of ec2, 8 of autoscaling, 0 of kms, 8 of s3; ")
    for service in ("ec2", "autoscaling", "s3"):
        assert not deploying.boots_all_the_same(replace(found, refused={**found.refused, service: 0})).kept


def test_an_interrupted_up_is_completed_and_nothing_is_there_twice() -> None:
    found = Up(changed=80, left=0, seconds=20.0)
    assert deploying.completes(found).kept
    assert not deploying.completes(replace(found, left=1)).kept
    assert not deploying.completes(replace(found, twice=("network",))).kept
    assert not deploying.completes(replace(found, changed=0)).kept


def test_a_second_up_changes_nothing() -> None:
    found = Up(changed=0, left=0, seconds=15.0, steps=150)
    assert (
        deploying.changes_nothing(found).what
        == "0 resources changed in 15 s; 150 steps meanwhile, 0 restarts"
    )
    assert deploying.changes_nothing(found).kept
    assert not deploying.changes_nothing(replace(found, changed=1)).kept
    assert not deploying.changes_nothing(replace(found, restarts=1)).kept
    assert not deploying.changes_nothing(replace(found, steps=0)).kept


def test_weights_are_compared_bit_by_bit() -> None:
    result = {"model_sha256": "ab" * 32, "samples_digest": "1", "metric": 0.9, "best_step": 100, "steps": 300}
    row = undisturbed.compared(result, result, 3)
    assert (row.kept, row.what) == (
        True,
        "300 steps; weights, samples and metric equal bit by bit (model abababababab)",
    )
    assert not undisturbed.compared(result, {**result, "model_sha256": "cd" * 32}, 3).kept
    assert "samples_digest differ" in undisturbed.compared(result, {**result, "samples_digest": "2"}, 3).what


def test_every_fault_of_the_issue_is_there() -> None:
    assert set(FAULTS) == set(NAMES.split())
    assert sum(fault.quick for fault in FAULTS.values()) == len(FAULTS) // 3
    assert all("|" not in fault.title + fault.promise for fault in FAULTS.values())
    assert all(bool(fault.steps) == (fault.stage == "training") for fault in FAULTS.values())


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^--fault must be one of up-interrupted, .*, got `flood`; take one of them$"
    ):
        chosen(["flood"])


def test_a_training_takes_as_long_as_its_faults() -> None:
    assert settings([]) == {}
    found = settings(["leader-killed", "spot-notice", "rollback"])
    assert "train.steps=412" in found["skylift:settings"]
    assert "train.steps=100" in settings(["rollback"])["skylift:settings"]
    assert found["skylift:serveMaxNodes"] == 4


def test_broken_promises_are_said_in_a_line_each() -> None:
    row = Row(name="a", title="a killed", promise="b", kept=False, what="c", recovery_seconds=None)
    assert broken([row, replace(row, kept=True)]) == ["a killed: b: c"]
