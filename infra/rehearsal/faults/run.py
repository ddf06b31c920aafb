"""The training run as an operator sees it: its files in the work bucket, and what its nodes say."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.rehearsal.faults.fault import NotRecoveredError
from infra.rehearsal.faults.waiting import PATIENCE, until
from infra.rehearsal.provider.properties import Value

MANIFEST = re.compile(r"/checkpoints/step-(\d{9})/manifest\.json$")
RESUMED = re.compile(r"resumed after step (\d+) of \d+")
PASSED_OVER = re.compile(r"checkpoint passed over: (.+)")


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """How a training gets on."""

    step: int
    """Of the newest complete checkpoint."""
    every: int
    """Steps between two of them."""
    at: float
    """When it was seen, on the monotonic clock."""
    pace: float
    """Steps a second."""

    def done(self, now: float) -> float:
        """Return the steps that are done at a moment, if the pace holds."""
        return self.step + self.pace * (now - self.at)


class Run:
    """One run."""

    def __init__(self, s3: Value, uri: str, run_id: str) -> None:
        """Take where it lies.

        Args:
            s3: the operator's client.
            uri: of the work bucket.
            run_id: the run's.
        """
        self._s3 = s3
        self.bucket = uri.removeprefix("s3://").partition("/")[0]
        self.prefix = f"runs/{run_id}"

    def file(self, name: str) -> bytes:
        """Return a file of the run, empty where it is not there."""
        try:
            answer = self._s3.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}")
        except self._s3.exceptions.NoSuchKey:
            return b""
        content: bytes = answer["Body"].read()
        return content

    def facts(self, name: str) -> dict[str, Value]:
        """Return a JSON file of the run, empty where it is not there."""
        found: dict[str, Value] = json.loads(self.file(name) or b"{}")
        return found

    def rows(self, name: str) -> list[dict[str, Value]]:
        """Return a file of JSON lines."""
        return [json.loads(line) for line in self.file(name).splitlines()]

    @property
    def trainers(self) -> list[str]:
        """Ids of the nodes that train, the leader first; none while they wait."""
        members = self.facts("members.json")
        return [one["id"] for one in members.get("members", [])][: members.get("active", 0)]

    @property
    def epoch(self) -> int:
        """Which start of the group it is."""
        return int(self.facts("members.json").get("epoch", 0))

    @property
    def stage(self) -> str:
        """How far the run has come; empty: it has not begun."""
        return str(self.facts("state.json").get("stage", ""))

    def checkpoints(self) -> list[int]:
        """Return the steps of the complete ones, oldest first."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}/checkpoints/"
        )
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return sorted(int(found[1]) for key in keys if (found := MANIFEST.search(key)))

    @property
    def newest(self) -> int:
        """Step of the newest complete checkpoint; 0: none."""
        return max(self.checkpoints(), default=0)

    def files_of(self, step: int) -> list[str]:
        """Return the names of a checkpoint's tensor files, below the run."""
        prefix = f"{self.prefix}/checkpoints/step-{step:09}/"
        listed = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return sorted(one["Key"] for one in listed if one["Key"].endswith(".safetensors"))

    def await_step(self, step: int, seconds: float = PATIENCE) -> int:
        """Return the newest checkpoint's step once it is a given one or later.

        Raises:
            NotRecoveredError: it does not come, or the run has ended.
        """

        def state() -> int:
            found = self.newest
            if found < step and self.stage not in ("", "prepare", "training"):
                reason = self.facts("state.json").get("reason", "")
                raise NotRecoveredError(f"the run is {self.stage} {reason}".strip())
            return found if found >= step else 0

        return until(state, f"checkpoint of step {step} or later", seconds)

    def pulse(self) -> Pulse:
        """Return how the training gets on, after two more checkpoints.

        Raises:
            NotRecoveredError: it does not get on.
        """
        first = self.await_step(self.newest + 1)
        begun = time.monotonic()
        step = self.await_step(first + 1)
        now = time.monotonic()
        return Pulse(step=step, every=step - first, at=now, pace=(step - first) / (now - begun))


class Consoles:
    """What nodes say from a moment on."""

    def __init__(self, nodes: Path) -> None:
        """Begin now; `nodes` is the folder that has one folder a node."""
        self._nodes = nodes
        self._heard: Mapping[Path, int] = {path: path.stat().st_size for path in self._files()}

    def said(self) -> dict[str, str]:
        """Return what each node has said since, by its id."""
        found = {}
        for path in self._files():
            with path.open("rb") as file:
                file.seek(self._heard.get(path, 0))
                found[path.parent.name] = file.read().decode(errors="replace")
        return found

    def resumed(self) -> list[int]:
        """Return the steps after which trainings went on since."""
        return [int(step) for text in self.said().values() for step in RESUMED.findall(text)]

    def passed_over(self) -> list[str]:
        """Return which checkpoints were passed over since, and why."""
        return [reason.strip() for text in self.said().values() for reason in PASSED_OVER.findall(text)]

    def has(self, text: str) -> bool:
        """Tell whether any node has said a text since."""
        return any(text in said for said in self.said().values())

    def _files(self) -> list[Path]:
        return sorted(self._nodes.glob("*/console.log"))
