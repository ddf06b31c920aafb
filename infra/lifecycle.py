"""How long a bucket keeps what: its lifecycle rules. Pure."""

from __future__ import annotations

import pulumi_aws.s3 as s3

Rule = s3.BucketLifecycleConfigurationRuleArgsDict

ABORT_DAYS = 7
"""Days after which an upload that was never finished is thrown away."""
LARGE = 1 << 20
"""Bytes. Of a run, what is larger is a checkpoint or a candidate; what it tells about itself is smaller."""


def tidy(noncurrent_days: int) -> Rule:
    """Return every bucket's rule: what was overwritten or deleted goes after some days, for good."""
    return {
        "id": "tidy",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "noncurrent_version_expiration": {"noncurrent_days": noncurrent_days},
        "abort_incomplete_multipart_upload": {"days_after_initiation": ABORT_DAYS},
        "expiration": {"expired_object_delete_marker": True},
    }


def logs(days: int) -> Rule:
    """Return the rule of the logs bucket: everything goes."""
    return {"id": "expire", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": days}}


def checkpoints(days: int) -> Rule:
    """Return the rule of runs: large files go after some days, and a deleted checkpoint is not kept as a version.

    A checkpoint's folder has the run's id before the word `checkpoints`, which no prefix can name; its size can. What a
    run tells about itself stays: a run that is done must stay done.
    """
    return {
        "id": "checkpoints",
        "status": "Enabled",
        "filter": {"and_": {"prefix": "runs/", "object_size_greater_than": LARGE}},
        "expiration": {"days": days},
        "noncurrent_version_expiration": {"noncurrent_days": 1},
    }
