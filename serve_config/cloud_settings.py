"""What user data tells a serving node in the cloud: environment variables, read once and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from serve_config.errors import InputError
from serve_config.settings import NAME

STATE = Path("/var/lib/skylift/serve")
"""Outlives a restart of the service: the pointer's counter, the release proven last."""


@dataclass(frozen=True, kw_only=True)
class CloudSettings:
    """One serving node in an Auto Scaling group."""

    models: str
    """`s3://` URI of the model store."""
    name: str
    """The model to serve."""
    signing_key: str
    """ARN of the KMS key that releases are signed with; the node reads its public half."""
    group: str
    """Its Auto Scaling group."""
    target_group: str
    """ARN of the load balancer's target group that it is registered in."""
    metrics_namespace: str
    """CloudWatch namespace of its metrics."""
    region: str
    """AWS region."""
    hook: str = ""
    """Name of the group's hook at termination; empty: none to complete."""
    drain_seconds: int = 60
    """How long the node serves on after it left the load balancer, 0 to 3600 s: the deregistration delay."""
    response_seconds: int = 120
    """How long an answer may take, 1 to 3600 s."""
    idle_seconds: int = 180
    """The load balancer's idle timeout, 1 to 3900 s: the node keeps connections longer."""
    port: int = 8443
    """Port of the HTTPS front, 1 to 65535: what the target group sends requests to."""
    metrics_port: int = 9443
    """Loopback port of the node's metrics, 1 to 65535."""
    state: Path = STATE
    """Folder that outlives the process."""

    def __post_init__(self) -> None:
        """Refuse what cannot be right.

        Raises:
            InputError: names the variable, its rule, the value and the next step.
        """
        for name, pattern, rule in PATTERNS:
            value = getattr(self, name)
            if not pattern.fullmatch(value):
                raise InputError(f"{variable(name)} must be {rule}, got `{value}`; see the launch template")
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(
                    f"{variable(name)} must be between {low} and {high}, got {getattr(self, name)}; "
                    "see the launch template"
                )


PATTERNS = (
    ("models", re.compile(r"(s3|file)://\S+"), "an s3:// URI"),
    ("name", NAME, "letters, digits, `_`, `.` and `-`"),
    ("signing_key", re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/\S+"), "the ARN of a KMS key"),
    ("group", re.compile(r"\S{1,255}"), "the name of an Auto Scaling group"),
    (
        "target_group",
        re.compile(r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/\S+"),
        "the ARN of a target group",
    ),
    ("metrics_namespace", re.compile(r"[A-Za-z0-9._/#:-]{1,255}"), "a CloudWatch namespace"),
    ("region", re.compile(r"[a-z]{2}(-[a-z]+)+-\d"), "an AWS region"),
)
"""Field, what it must match, and that in words."""
RANGES = {
    "drain_seconds": (0, 3600),
    "response_seconds": (1, 3600),
    "idle_seconds": (1, 3900),
    "port": (1, 65535),
    "metrics_port": (1, 65535),
}
"""Lowest and highest value of each number."""


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return "AWS_REGION" if field == "region" else f"SKYLIFT_{field.upper()}"


def read_environment(environment: Mapping[str, str]) -> CloudSettings:
    """Return the settings that an environment holds.

    Raises:
        InputError: a variable is missing, or its value breaks a rule.
    """
    found: dict[str, str | int | Path] = {}
    for field in fields(CloudSettings):
        name, text = variable(field.name), environment.get(variable(field.name), "")
        if not text:
            if field.name in REQUIRED:
                raise InputError(f"{name} is not set; user data writes it to /etc/skylift/node.env")
            continue
        if field.name in RANGES:
            if not re.fullmatch(r"\d{1,9}", text):
                raise InputError(f"{name} must be a whole number, got `{text}`; see the launch template")
            found[field.name] = int(text)
        else:
            found[field.name] = Path(text) if field.name == "state" else text
    return CloudSettings(**found)  # type: ignore[arg-type]


REQUIRED = ("models", "name", "signing_key", "group", "target_group", "metrics_namespace", "region")
"""Fields without a default."""
