"""A machine of somebody who never used AWS."""

from __future__ import annotations

from pathlib import Path

import pytest

VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)


def without_aws(patch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Take away whatever says something about AWS; return the path of a configuration file that is not there."""
    for name in VARIABLES:
        patch.delenv(name, raising=False)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-credentials"))
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return folder / "config"
