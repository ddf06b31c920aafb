"""What nodes are told: the whole of it, as the nodes' rooms read it."""

from __future__ import annotations

from infra.config import parse
from infra.names import Names
from infra.node_environment import Places, serve_environment, train_environment
from tests.stacks import defaults

SETTINGS = parse(
    {**defaults(), "settings": '["train.epochs=3"]', "trainNodes": "4", "trainMinNodes": "2"},
    stack="dev",
    region="eu-central-1",
)
NAMES = Names(stack="dev")
PLACES = Places(
    data_bucket="data-1",
    work_bucket="work-1",
    models_bucket="models-1",
    signing_key_arn="arn:aws:kms:eu-central-1:123456789012:key/1",
    serve_bundle_uri="s3://work-1/code/aa.zip",
    target_group_arn="arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/1",
)
COMMON = {
    "AWS_REGION": "eu-central-1",
    "AWS_CHECKSUM_ALGORITHM": "SHA256",
    "SKYLIFT_STACK": "dev",
    "SKYLIFT_METRICS_NAMESPACE": "Skylift/dev",
    "SKYLIFT_MODELS": "s3://models-1",
    "SKYLIFT_NAME": "model",
    "SKYLIFT_SIGNING_KEY": "arn:aws:kms:eu-central-1:123456789012:key/1",
}


def test_a_training_node_is_told_its_run_and_its_group() -> None:
    """Every variable, and no other."""
    assert train_environment(SETTINGS, NAMES, PLACES, "resnet-1a2b", "aa" * 32) == {
        **COMMON,
        "SKYLIFT_GROUP": "skylift-dev-train-resnet-1a2b",
        "SKYLIFT_LOG_GROUP": "/skylift/dev/train",
        "SKYLIFT_WORK": "s3://work-1",
        "SKYLIFT_DATA": "s3://data-1",
        "SKYLIFT_SOURCE": "digits",
        "SKYLIFT_RECIPE": "resnet",
        "SKYLIFT_SETTINGS": '["train.epochs=3"]',
        "SKYLIFT_RUN_ID": "resnet-1a2b",
        "SKYLIFT_SERVE_BUNDLE": "s3://work-1/code/aa.zip",
        "SKYLIFT_SERVE_BUNDLE_SHA256": "aa" * 32,
        "SKYLIFT_SERVE_GROUP": "skylift-dev-serve",
        "SKYLIFT_SERVE_FLOOR": "1",
        "SKYLIFT_MIN_NODES": "2",
        "SKYLIFT_NODES": "4",
        "SKYLIFT_WAIT_FOR_FULL_SECONDS": "600",
        "SKYLIFT_PROCESSES": "0",
    }


def test_a_serving_node_is_told_where_it_registers_and_how_long_it_may_take() -> None:
    """Every variable, and no other: nothing of training is known to it."""
    assert serve_environment(SETTINGS, NAMES, PLACES) == {
        **COMMON,
        "SKYLIFT_GROUP": "skylift-dev-serve",
        "SKYLIFT_LOG_GROUP": "/skylift/dev/serve",
        "SKYLIFT_TARGET_GROUP": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/1",
        "SKYLIFT_HOOK": "terminate",
        "SKYLIFT_DRAIN_SECONDS": "60",
        "SKYLIFT_RESPONSE_SECONDS": "60",
        "SKYLIFT_IDLE_SECONDS": "75",
    }
