"""The environment that a boot script writes, read whole; every wrong value is one line that names it."""

from __future__ import annotations

import pytest

from model_code.errors import InputError
from model_code.node_settings import NodeSettings, read_settings

KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
ENVIRONMENT = {
    "AWS_REGION": "eu-central-1",
    "SKYLIFT_STACK": "dev",
    "SKYLIFT_GROUP": "skylift-dev-train-run-1",
    "SKYLIFT_LOG_GROUP": "/skylift/dev/train",
    "SKYLIFT_METRICS_NAMESPACE": "Skylift/dev",
    "SKYLIFT_MODELS": "s3://models",
    "SKYLIFT_NAME": "digits",
    "SKYLIFT_SIGNING_KEY": KEY,
    "SKYLIFT_WORK": "s3://work/",
    "SKYLIFT_DATA": "s3://data",
    "SKYLIFT_SOURCE": "text:s3://data/raw/reviews.csv",
    "SKYLIFT_RECIPE": "bert",
    "SKYLIFT_SETTINGS": '["train.epochs=3", "compress.tolerance=0.98"]',
    "SKYLIFT_RUN_ID": "run-1",
    "SKYLIFT_SERVE_BUNDLE": "s3://work/code/aa.zip",
    "SKYLIFT_SERVE_BUNDLE_SHA256": "a" * 64,
    "SKYLIFT_SERVE_GROUP": "skylift-dev-serve",
    "SKYLIFT_SERVE_FLOOR": "2",
    "SKYLIFT_MIN_NODES": "2",
    "SKYLIFT_NODES": "4",
    "SKYLIFT_WAIT_FOR_FULL_SECONDS": "300",
    "SKYLIFT_PROCESSES": "0",
}


def test_the_whole_environment_is_read() -> None:
    """Every variable has its field, and settings are shared out to the stages they belong to."""
    settings = read_settings(ENVIRONMENT)
    assert settings == NodeSettings(
        region="eu-central-1",
        group="skylift-dev-train-run-1",
        metrics_namespace="Skylift/dev",
        work="s3://work",
        data="s3://data",
        models="s3://models",
        source="text:s3://data/raw/reviews.csv",
        recipe="bert",
        words=("train.epochs=3", "compress.tolerance=0.98"),
        name="digits",
        run_id="run-1",
        signing_key=KEY,
        serve_bundle="s3://work/code/aa.zip",
        serve_bundle_sha256="a" * 64,
        serve_group="skylift-dev-serve",
        serve_floor=2,
        nodes=4,
        min_nodes=2,
        wait_for_full_seconds=300.0,
        processes=0,
        poll_seconds=5.0,
        rendezvous_port=29_400,
    )
    assert settings.run == "s3://work/runs/run-1"
    assert settings.training_words == ["train.epochs=3"]
    assert settings.compression_words == ["compress.tolerance=0.98"]


WRONG = {
    "SKYLIFT_GROUP": (
        "",
        "SKYLIFT_GROUP must be set, it is not; the node's user data writes it: run `pulumi up`",
    ),
    "SKYLIFT_WORK": ("ftp://x", "SKYLIFT_WORK must be file:///PATH or s3://BUCKET, got `ftp://x`"),
    "SKYLIFT_SETTINGS": ("train.epochs=3", 'must be a JSON list of "key=value", got `train.epochs=3`'),
    "SKYLIFT_NAME": ("My Model", "SKYLIFT_NAME must be 1 to 63 of a-z, 0-9 and -, got `My Model`"),
    "SKYLIFT_RUN_ID": (
        "../other",
        "SKYLIFT_RUN_ID must be 1 to 128 of A-Z, a-z, 0-9, ., _ and -, got `../other`",
    ),
    "SKYLIFT_SIGNING_KEY": ("alias/x", "SKYLIFT_SIGNING_KEY must be a KMS key's ARN, got `alias/x`"),
    "SKYLIFT_SERVE_BUNDLE_SHA256": ("abc", "must be 64 hexadecimal digits, got `abc`"),
    "SKYLIFT_SERVE_FLOOR": ("-1", "SKYLIFT_SERVE_FLOOR must be 0 to 10000, got `-1`"),
    "SKYLIFT_MIN_NODES": ("5", "SKYLIFT_MIN_NODES must be 1 to 4, got `5`"),
    "SKYLIFT_NODES": ("four", "SKYLIFT_NODES must be 1 to 1000, got `four`"),
    "SKYLIFT_WAIT_FOR_FULL_SECONDS": ("nan", "must be a number from 0 to 86400, got `nan`"),
    "SKYLIFT_PROCESSES": ("1.5", "SKYLIFT_PROCESSES must be 0 to 64, got `1.5`"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named(name: str) -> None:
    """Variable, rule, value received."""
    value, message = WRONG[name]
    with pytest.raises(InputError) as caught:
        read_settings({**ENVIRONMENT, name: value})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "name", sorted(set(ENVIRONMENT) - {"SKYLIFT_STACK", "SKYLIFT_LOG_GROUP", "SKYLIFT_SETTINGS"})
)
def test_what_is_missing_is_named(name: str) -> None:
    """Nothing has a default that would let a node train something else."""
    with pytest.raises(InputError, match=f"{name} must be set"):
        read_settings({key: value for key, value in ENVIRONMENT.items() if key != name})
