"""What the node says about its model: the Open Inference Protocol's metadata, and the line it prints when ready."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from serve_config.verify import Release


def metadata(release: Release) -> dict[str, Any]:
    """Return the model's metadata for GET /v2/models/NAME."""
    return {
        "name": release.name,
        "versions": [release.version],
        "platform": release.model["runtime"],
        "task": release.model["task"],
        "classes": release.model["classes"],
        "inputs": _inputs(release.model),
    }


def announcement(
    release: Release, *, host: str, port: int, ca: Path, metrics: tuple[str, int], workers: int
) -> dict[str, Any]:
    """Return what the node prints once it is ready.

    Args:
        release: what is served.
        host: address that the front is bound to.
        port: its port.
        ca: certificate that clients must trust.
        metrics: address and port of the metrics.
        workers: how many workers answer.
    """
    return {
        "ready": True,
        "url": f"https://{_reachable(host)}:{port}",
        "ca": str(ca),
        "metrics": f"http://{_reachable(metrics[0])}:{metrics[1]}/metrics",
        "name": release.name,
        "version": release.version,
        "workers": workers,
        "pid": os.getpid(),
    }


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _inputs(model: dict[str, Any]) -> list[dict[str, Any]]:
    if image := model.get("image"):
        shape = [1, image["channels"], image["height"], image["width"]]
        return [{"name": "image", "datatype": "FP32", "shape": shape}]
    return [{"name": "text", "datatype": "BYTES", "shape": [1]}]
