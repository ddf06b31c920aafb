"""What user data tells a serving node is read whole, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_config.cloud_settings import CloudSettings, read_environment
from serve_config.errors import InputError

KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b"
TARGETS = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/skylift/1234"
ENVIRONMENT = {
    "AWS_REGION": "eu-central-1",
    "SKYLIFT_MODELS": "s3://skylift-models",
    "SKYLIFT_NAME": "resnet-digits",
    "SKYLIFT_SIGNING_KEY": KEY,
    "SKYLIFT_GROUP": "skylift-dev-serve",
    "SKYLIFT_TARGET_GROUP": TARGETS,
    "SKYLIFT_METRICS_NAMESPACE": "Skylift/dev",
}


def test_the_environment_is_read_whole() -> None:
    """Every variable arrives in its field; what is not set has its default."""
    more = {"SKYLIFT_HOOK": "drain", "SKYLIFT_DRAIN_SECONDS": "45", "SKYLIFT_STATE": "/state"}
    assert read_environment({**ENVIRONMENT, **more, "HOME": "/root"}) == CloudSettings(
        models="s3://skylift-models",
        name="resnet-digits",
        signing_key=KEY,
        group="skylift-dev-serve",
        target_group=TARGETS,
        metrics_namespace="Skylift/dev",
        region="eu-central-1",
        hook="drain",
        drain_seconds=45,
        response_seconds=120,
        idle_seconds=180,
        state=Path("/state"),
    )


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_a_missing_variable_is_named(name: str) -> None:
    """Nothing has a default that only the operator can know."""
    with pytest.raises(InputError) as refused:
        read_environment({key: value for key, value in ENVIRONMENT.items() if key != name})
    assert str(refused.value) == f"{name} is not set; user data writes it to /etc/skylift/node.env"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SKYLIFT_MODELS", "models", "must be an s3:// URI, got `models`"),
        ("SKYLIFT_NAME", "a b", "must be letters, digits, `_`, `.` and `-`, got `a b`"),
        ("SKYLIFT_SIGNING_KEY", "key", "must be the ARN of a KMS key, got `key`"),
        ("SKYLIFT_TARGET_GROUP", KEY, f"must be the ARN of a target group, got `{KEY}`"),
        ("AWS_REGION", "Frankfurt", "must be an AWS region, got `Frankfurt`"),
        ("SKYLIFT_DRAIN_SECONDS", "soon", "must be a whole number, got `soon`"),
        ("SKYLIFT_DRAIN_SECONDS", "3601", "must be between 0 and 3600, got 3601"),
        ("SKYLIFT_IDLE_SECONDS", "0", "must be between 1 and 3900, got 0"),
        ("SKYLIFT_PORT", "65536", "must be between 1 and 65535, got 65536"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str, message: str) -> None:
    """The message names the variable, the rule, the value and where to look."""
    with pytest.raises(InputError) as refused:
        read_environment({**ENVIRONMENT, name: value})
    assert str(refused.value) == f"{name} {message}; see the launch template"
