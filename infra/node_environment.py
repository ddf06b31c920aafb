"""The text that crosses to the nodes: environment variables by which a node knows its stack. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from infra.names import Names
from infra.scaling import TERMINATE_HOOK
from infra.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a node finds what AWS named, resolved."""

    data_bucket: str
    """Bucket of the shards."""
    work_bucket: str
    """Bucket of runs, checkpoints and code."""
    models_bucket: str
    """Bucket of the releases."""
    signing_key_arn: str
    """KMS key that releases are signed with."""
    serve_bundle_uri: str
    """The serving code, with which the gate loads a release as a server does."""
    target_group_arn: str
    """Where serving nodes take themselves out on a notice."""


def train_environment(
    settings: Settings, names: Names, places: Places, run_id: str, serve_bundle_sha256: str
) -> dict[str, str]:
    """Return the variables of a training node."""
    return {
        **_common(settings, names.train_group(run_id), names.train_log_group, names, places),
        "SKYLIFT_WORK": f"s3://{places.work_bucket}",
        "SKYLIFT_DATA": f"s3://{places.data_bucket}",
        "SKYLIFT_SOURCE": settings.data,
        "SKYLIFT_RECIPE": settings.recipe,
        "SKYLIFT_SETTINGS": json.dumps(list(settings.settings)),
        "SKYLIFT_RUN_ID": run_id,
        "SKYLIFT_SERVE_BUNDLE": places.serve_bundle_uri,
        "SKYLIFT_SERVE_BUNDLE_SHA256": serve_bundle_sha256,
        "SKYLIFT_SERVE_GROUP": names.serve_group,
        "SKYLIFT_SERVE_FLOOR": str(settings.serve_min_nodes),
        "SKYLIFT_MIN_NODES": str(settings.train_min_nodes),
        "SKYLIFT_NODES": str(settings.train_nodes),
        "SKYLIFT_WAIT_FOR_FULL_SECONDS": str(settings.wait_for_full_seconds),
        "SKYLIFT_PROCESSES": str(settings.processes_per_node),
    }


def serve_environment(settings: Settings, names: Names, places: Places) -> dict[str, str]:
    """Return the variables of a serving node."""
    return {
        **_common(settings, names.serve_group, names.serve_log_group, names, places),
        "SKYLIFT_TARGET_GROUP": places.target_group_arn,
        "SKYLIFT_HOOK": TERMINATE_HOOK,
        "SKYLIFT_DRAIN_SECONDS": str(settings.drain_seconds),
        "SKYLIFT_RESPONSE_SECONDS": str(settings.response_seconds),
        "SKYLIFT_IDLE_SECONDS": str(settings.idle_seconds),
    }


def _common(
    settings: Settings, group: str, log_group: str, names: Names, places: Places
) -> Mapping[str, str]:
    return {
        "AWS_REGION": settings.region,
        # A bucket that locks its objects for days takes no upload without a checksum.
        "AWS_CHECKSUM_ALGORITHM": "SHA256",
        "SKYLIFT_STACK": settings.stack,
        "SKYLIFT_GROUP": group,
        "SKYLIFT_LOG_GROUP": log_group,
        "SKYLIFT_METRICS_NAMESPACE": names.metrics_namespace,
        "SKYLIFT_MODELS": f"s3://{places.models_bucket}",
        "SKYLIFT_NAME": settings.model_name,
        "SKYLIFT_SIGNING_KEY": places.signing_key_arn,
    }
