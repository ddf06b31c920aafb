"""Training nodes as they run on EC2: real programs, real torchrun, an emulated AWS; see `training_group.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from model_code import store
from model_code.checkpoint.files import newest_step
from model_code.pointer import read_pointer
from tests.conftest import free_port
from tests.metadata import MetadataServer
from tests.training_group import (
    REGION,
    Group,
    described,
    instances,
    make_group,
    serve_bundle,
    until,
)

WORDS = ["train.steps=300", "train.checkpoint_every=20", "train.evaluate_every=300", "train.verify_every=0",
         "compress.prune=", "compress.quantize=false", "compress.distill=false", "compress.rounds=0"]  # fmt: skip

HELD = '''
"""A small network that trains slowly while a file is there: things happen to it meanwhile."""
import time
from pathlib import Path
from torch import nn
from model_code.config import ModelConfig, RunConfig, TrainConfig

class Held(nn.Sequential):
    def forward(self, image):
        if self.training and Path(__file__).with_name("hold").exists():
            time.sleep(0.05)
        return super().forward(image)

def build(config, index):
    return Held(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, len(index.classes)))

def mine(index):
    model = ModelConfig(family="custom", builder=__file__ + ":build")
    return RunConfig(recipe="mine", model=model, train=TrainConfig(learning_rate=3e-3, clip_norm=0))
'''


@pytest.fixture
def group(bucket: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Group]:
    """A group of two instances that nobody has booted yet, and one for serving."""
    name = "train-" + bucket[-8:]
    make_group(name, 2, "127.20.1.0/24")
    make_group(f"{name}-serve", 0, "127.20.2.0/24")
    key = boto3.client("kms", REGION).create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    bundle, sha256 = serve_bundle(tmp_path)
    recipe = tmp_path / "held.py"
    recipe.write_text(HELD)
    (tmp_path / "hold").touch()
    environment = {
        "SKYLIFT_STACK": "dev",
        "SKYLIFT_GROUP": name,
        "SKYLIFT_LOG_GROUP": "/skylift/dev/train",
        "SKYLIFT_METRICS_NAMESPACE": f"Skylift/{name}",
        "SKYLIFT_MODELS": store.join(bucket, "models"),
        "SKYLIFT_NAME": "digits",
        "SKYLIFT_SIGNING_KEY": key["KeyMetadata"]["Arn"],
        "SKYLIFT_WORK": store.join(bucket, "work"),
        "SKYLIFT_DATA": store.join(bucket, "data"),
        "SKYLIFT_SOURCE": "digits",
        "SKYLIFT_RECIPE": f"{recipe}:mine",
        "SKYLIFT_SETTINGS": json.dumps(WORDS),
        "SKYLIFT_RUN_ID": "run-0123456789ab",
        "SKYLIFT_SERVE_BUNDLE": bundle,
        "SKYLIFT_SERVE_BUNDLE_SHA256": sha256,
        "SKYLIFT_SERVE_GROUP": f"{name}-serve",
        "SKYLIFT_SERVE_FLOOR": "2",
        "SKYLIFT_MIN_NODES": "1",
        "SKYLIFT_NODES": "2",
        "SKYLIFT_WAIT_FOR_FULL_SECONDS": getattr(request, "param", "0"),
        "SKYLIFT_PROCESSES": "1",
        "SKYLIFT_POLL_SECONDS": "0.5",
        "SKYLIFT_RENDEZVOUS_PORT": str(free_port()),
    }
    group = Group(environment=environment, metadata=MetadataServer(), logs=tmp_path)
    yield group
    group.close()


def read(group: Group, file: str) -> dict[str, Any]:
    """Return one of the run's JSON files, empty while there is none."""
    try:
        found: dict[str, Any] = json.loads(
            store.read(f"{group.environment['SKYLIFT_WORK']}/runs/run-0123456789ab/{file}")
        )
    except FileNotFoundError:
        return {}
    return found


def logs(group: Group) -> str:
    """Return all that was said."""
    return "\n".join(
        f"--- {path.name}\n{path.read_text(errors='replace')[-6000:]}"
        for path in sorted(group.logs.glob("*.log"))
    )


def resumed_at(group: Group, instance: str, epoch: str) -> int:
    """Return the step after which a node went on in an epoch."""
    said = group.said(instance).partition(epoch)[2].partition("resumed after step ")[2]
    return int(said.split()[0])


def step(group: Group) -> int:
    """Return the step of the newest checkpoint."""
    return newest_step(f"{group.environment['SKYLIFT_WORK']}/runs/run-0123456789ab/checkpoints")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_outlives_its_leader_and_is_published_by_the_next(group: Group) -> None:
    """Two nodes train, the leader vanishes, the other goes on alone, its replacement joins and hears of its end."""
    name, namespace = group.environment["SKYLIFT_GROUP"], group.environment["SKYLIFT_METRICS_NAMESPACE"]

    def come(state: Callable[[], Any]) -> None:
        until(state, 240, lambda: logs(group))

    for instance in instances(name):
        group.boot(instance)
    come(lambda: step(group) >= 20)
    first, second = (one["id"] for one in read(group, "members.json")["members"])
    group.vanish(first)
    lost = step(group)
    come(lambda: step(group) >= lost + 20)
    members = read(group, "members.json")
    assert (members["members"][0]["id"], members["active"]) == (second, 1)
    assert members["epoch"] == members["broken"]  # the others of its epoch could not save any more

    (third,) = set(instances(name)) - {second}
    group.boot(third)
    together = f"training on 2 nodes ({second}, {third}), led by {second}"
    come(lambda: together in group.said(third))
    come(lambda: "resumed after step" in group.said(second).partition(together)[2])
    joined = read(group, "members.json")
    assert (joined["epoch"], joined["broken"]) == (members["epoch"] + 1, members["broken"])  # in order
    assert resumed_at(group, second, together) > lost

    # The first one that hears of its end leaves; all save the same step, and the other one goes on after it.
    group.metadata.values[third]["spot/instance-action"] = '{"action": "terminate", "time": "soon"}'
    alone = f"epoch {joined['epoch'] + 2}: training on 1 nodes ({second}), led by {second}"
    come(lambda: "resumed after step" in group.said(second).partition(alone)[2])
    assert "leaving: spot interruption: terminate at soon" in group.said(third)
    left = read(group, "members.json")
    assert (left["here"], left["broken"]) == ([second], members["broken"])
    assert resumed_at(group, second, alone) > resumed_at(group, second, together)
    (group.logs / "hold").unlink()

    come(lambda: read(group, "state.json")["stage"] == "done")
    state = read(group, "state.json")
    key = boto3.client("kms", REGION).get_public_key(KeyId=group.environment["SKYLIFT_SIGNING_KEY"])[
        "PublicKey"
    ]
    public = serialization.load_der_public_key(key).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    found = read_pointer(group.environment["SKYLIFT_MODELS"], "digits", public)
    assert found is not None
    assert (found[0].version, found[0].counter) == (state["version"], 1)
    trained = read(group, "trained.json")
    assert (trained["steps"], trained["world_size"], trained["run_id"]) == (300, 1, "run-0123456789ab")
    assert described(f"{name}-serve")["MinSize"] == 2
    come(lambda: described(name)["DesiredCapacity"] == 0)
    assert instances(name) == []
    metrics = boto3.client("cloudwatch", REGION).list_metrics(Namespace=namespace)["Metrics"]
    assert {"Step", "StepsPerSecond"} <= {one["MetricName"] for one in metrics}

    for instance in (second, third):
        group.terminated(instance)
        assert group.nodes[instance].wait(60) == 0, group.said(instance)
