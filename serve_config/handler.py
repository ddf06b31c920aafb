"""The thin adapter between TorchServe and `predictor.py`. Its loader demands exactly one class in this file."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from serve_config.predictor import Predictor, load

WORKER_FOLDER = "SKYLIFT_WORKER_FOLDER"
"""Environment variable: folder in which each worker touches a file named by its process id, its heartbeat."""


@contextmanager
def told() -> Iterator[None]:
    """Print what goes wrong before TorchServe catches it: its own note goes to stdout, which nobody reads."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        raise


class Handler:
    """Answers batches of requests; nothing is hidden here that is not a client's mistake."""

    predictor: Predictor
    version: str

    def initialize(self, context: Any) -> None:  # noqa: ANN401 - ts.context.Context, not imported: tests need no ts
        """Load the model that lies beside this file, on the device that TorchServe gave this worker."""
        properties, options = context.system_properties, context.model_yaml_config.get("handler", {})
        gpu = properties.get("gpu_id")
        folder = os.environ.get(WORKER_FOLDER)
        pulse = Path(folder, str(os.getpid())) if folder else None
        self.version = os.environ.get("SKYLIFT_VERSION", context.manifest["model"]["modelVersion"])
        with told():
            self.predictor = load(
                Path(properties["model_dir"]),
                device="cpu" if gpu is None else f"cuda:{gpu}",
                threads=int(os.environ.get("SKYLIFT_THREADS", options.get("threads", 1))),
                progress=pulse.touch if pulse else lambda: None,
            )
        if pulse:
            pulse.touch()

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:  # noqa: ANN401
        """Answer a batch, each request with a status of its own."""
        requests = [
            (_as_bytes(fields.get("body")), _content_type(context, position))
            for position, fields in enumerate(data)
        ]
        with told():
            answers = self.predictor.answer(requests)
        for position, (status, _) in enumerate(answers):
            context.set_response_status(status, HTTPStatus(status).phrase, position)
            context.set_response_content_type(position, "application/json")
            context.set_response_header(position, "X-Skylift-Version", self.version)
            context.set_response_header(position, "X-Skylift-Worker", str(os.getpid()))
        return [json.dumps(answer).encode() for _, answer in answers]


def _as_bytes(body: object) -> bytes:
    return bytes(body) if isinstance(body, bytes | bytearray) else b""


def _content_type(context: Any, position: int) -> str:  # noqa: ANN401
    part = context.get_request_header(position, "body")
    return part["content-type"] if part else ""
