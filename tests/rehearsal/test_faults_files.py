"""What faults read and write in buckets: a run's files, what nodes say, releases that others verify."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from moto import mock_aws

from infra.rehearsal.faults.fault import NotRecoveredError
from infra.rehearsal.faults.forge import Forge, canonical, stranger
from infra.rehearsal.faults.run import Consoles, Run
from model_code.signing import verified

REGION = "eu-central-1"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """S3 with a bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", REGION)
        client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


def put(s3: Any, name: str, content: object) -> None:
    """Write a file of the run."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    s3.put_object(Bucket="bucket", Key=f"runs/r/{name}", Body=body)


def test_a_run_is_read_as_its_nodes_write_it(s3: Any) -> None:
    run = Run(s3, "s3://bucket", "r")
    assert (run.trainers, run.epoch, run.stage, run.newest) == ([], 0, "", 0)
    put(
        s3,
        "members.json",
        {"epoch": 3, "active": 2, "members": [{"id": "i-1"}, {"id": "i-2"}, {"id": "i-3"}]},
    )
    put(s3, "state.json", {"stage": "training"})
    put(s3, "incidents.jsonl", b'{"kind": "straggler"}\n{"kind": "recovered"}\n')
    put(s3, "checkpoints/step-000000050/manifest.json", {})
    put(s3, "checkpoints/step-000000050/shard-1.safetensors", b"x")
    put(s3, "checkpoints/step-000000100/shard-1.safetensors", b"x")  # under way
    assert (run.trainers, run.epoch, run.stage, run.newest) == (["i-1", "i-2"], 3, "training", 50)
    assert [row["kind"] for row in run.rows("incidents.jsonl")] == ["straggler", "recovered"]
    assert run.files_of(100) == ["runs/r/checkpoints/step-000000100/shard-1.safetensors"]


def test_the_pace_is_that_between_two_checkpoints(s3: Any) -> None:
    run = Run(s3, "s3://bucket", "r")
    put(s3, "state.json", {"stage": "training"})
    timers = [
        threading.Timer(after, put, (s3, f"checkpoints/step-{step:09}/manifest.json", {}))
        for after, step in ((0.1, 50), (0.9, 100))
    ]
    for timer in timers:
        timer.start()
    pulse = run.pulse()
    assert (pulse.step, pulse.every) == (100, 50)
    assert 30 < pulse.pace < 200
    assert pulse.done(pulse.at + 1) == pytest.approx(100 + pulse.pace)


def test_a_run_that_has_ended_is_not_waited_for(s3: Any) -> None:
    put(s3, "state.json", {"stage": "failed", "reason": "training failed 7 times"})
    with pytest.raises(NotRecoveredError, match="the run is failed training failed 7 times"):
        Run(s3, "s3://bucket", "r").await_step(1)


def test_consoles_tell_what_is_said_from_now_on(tmp_path: Path) -> None:
    old = tmp_path / "i-1" / "console.log"
    old.parent.mkdir()
    old.write_text("resumed after step 50 of 900\n")
    consoles = Consoles(tmp_path)
    assert consoles.resumed() == []
    with old.open("a") as file:
        file.write("checkpoint passed over: step-000000150: torn\nresumed after step 100 of 900\n")
    new = tmp_path / "i-2" / "console.log"
    new.parent.mkdir()
    new.write_text("epoch 3: training on 2 nodes\n")
    assert consoles.resumed() == [100]
    assert consoles.passed_over() == ["step-000000150: torn"]
    assert consoles.has("training on 2 nodes")
    assert not consoles.has("step 50 of")


@pytest.fixture
def forge(s3: Any) -> Forge:
    """A model with one release."""
    kms = boto3.client("kms", REGION)
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    forge = Forge(s3=s3, kms=kms, bucket="bucket", name="digits", key=key)
    pointer = {"name": "digits", "version": "0" * 16, "counter": 4, "previous": ["1" * 16], "percentage": 100}
    s3.put_object(Bucket="bucket", Key="digits/current.json", Body=json.dumps({"pointer": pointer}).encode())
    return forge


def public(forge: Forge) -> bytes:
    """Return the key's public half, PEM."""
    der = forge.kms.get_public_key(KeyId=forge.key)["PublicKey"]
    return serialization.load_der_public_key(der).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_a_forged_release_is_signed_as_the_nodes_sign(forge: Forge) -> None:
    version = forge.release({"model.mar": b"m", "card.md": b"c"}, "run-1")
    assert forge.files(version) == {"model.mar": b"m", "card.md": b"c"}
    signed = json.loads(forge.file(f"{version}/manifest.sig"))
    assert verified(signed["statement"], signed["signature"], public(forge))
    other = forge.release({"model.mar": b"m", "card.md": b"d"}, "run-1", stranger())
    signed = json.loads(forge.file(f"{other}/manifest.sig"))
    assert other != version
    assert not verified(signed["statement"], signed["signature"], public(forge))


def test_a_pointer_moves_on_and_remembers(forge: Forge) -> None:
    forge.point("2" * 16)
    signed = json.loads(forge.file("current.json"))
    assert signed["pointer"] == {
        "name": "digits",
        "version": "2" * 16,
        "counter": 5,
        "previous": ["0" * 16, "1" * 16],
        "percentage": 100,
    }
    assert verified(signed["pointer"], signed["signature"], public(forge))
    assert canonical({"b": 1, "a": [2]}) == b'{"a":[2],"b":1}'
