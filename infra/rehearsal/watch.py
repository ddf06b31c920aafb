"""Watches the emulated account while nodes work in it, and tells what is new. It asks little: the CPU is the nodes'."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.rehearsal.changed_files import ChangedFiles
from infra.rehearsal.cloud_news import CloudNews
from infra.rehearsal.emulator import Emulator, EmulatorError
from infra.rehearsal.run_news import News, RunNews, steps_of
from infra.rehearsal.story import Story

LOOK_SECONDS = 1.0
"""Between two looks: a listing or two, and three questions to the emulator itself."""
RUN_FILES = ("config.json", "state.json", "members.json", "metrics.jsonl", "trained.json", "report.json")
"""In the order in which they are told: what explains the others first."""


class Watch:
    """A thread that looks until it is stopped."""

    def __init__(
        self,
        emulator: Emulator,
        story: Story,
        outputs: Mapping[str, Any],
        *,
        region: str = "eu-central-1",
        stats: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """Watch one stack.

        Args:
            emulator: the account.
            story: where it is told.
            outputs: the stack's exports: `workUri`, `modelsUri` and `runId` are read.
            region: the stack's.
            stats: what the load balancer says of itself; None: it is not asked.
        """
        self._emulator, self._story, self._stats = emulator, story, stats
        s3 = emulator.client("s3", region)
        self._s3 = s3
        run = f"{outputs['workUri']}/runs/{outputs['runId']}"
        self._run_files = ChangedFiles(s3, run, RUN_FILES.__contains__)
        candidates = f"{run}/candidates"
        self._candidates = ChangedFiles(s3, candidates, lambda name: name.endswith("/result.json"), deep=True)
        models = str(outputs["modelsUri"])
        self._pointers = ChangedFiles(s3, models, lambda name: name.endswith("/current.json"), deep=True)
        self._run, self._cloud = RunNews(), CloudNews()
        self._config, self._next = b"", 0
        self._over, self._said = threading.Event(), dict[str, str]()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look a last time, and no more."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self) -> None:
        """Tell what is new. What cannot be asked now is asked the next time."""
        parts = {
            "run": self._look_at_run,
            "groups": self._look_at_scaling,
            "policies": self._look_at_policies,
            "load balancer": self._look_at_balancer,
        }
        for name, part in parts.items():
            try:
                self._tell(part())
                self._said[name] = ""
            except (BotoCoreError, ClientError, EmulatorError) as error:
                if self._said.get(name) != str(
                    error
                ):  # a fault may harm the account for long: once is enough
                    self._said[name] = str(error)
                    self._story.tell("note", f"the {name} cannot be watched: {error}")

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()
        self.look()

    def _tell(self, news: Iterable[News]) -> None:
        for one in news:
            self._story.tell(one.kind, one.what, where=one.where, **one.facts)

    def _look_at_run(self) -> Iterable[News]:
        found = self._run_files.look()
        self._config = found.pop("config.json", self._config)
        tellers = {
            "state.json": self._run.of_state,
            "members.json": self._run.of_members,
            "metrics.jsonl": self._run.of_metrics,
            "trained.json": self._run.of_trained,
            "report.json": self._run.of_report,
        }
        for name, tell in tellers.items():
            if name in found:
                if name == "metrics.jsonl":
                    self._learn_steps()
                yield from tell(found[name])
            if name == "members.json":
                yield from self._run.of_duties()
        if self._run.stage in ("trained", "compressed"):
            for content in self._candidates.look().values():
                yield from self._run.of_candidate(content)
        if self._run.stage in ("compressed", "released", "done"):
            for content in self._pointers.look().values():
                yield from self._cloud.of_pointer(content)

    def _learn_steps(self) -> None:
        """Learn how many steps there will be, once."""
        if self._run.steps or not self._config:
            return
        bucket, _, path = self._run.shards.removeprefix("s3://").partition("/")
        if bucket:
            index = self._s3.get_object(Bucket=bucket, Key=f"{path}/index.json")["Body"].read()
            self._run.steps = steps_of(self._config, index)

    def _look_at_scaling(self) -> Iterable[News]:
        answer = self._emulator.ask("scaling", since=self._next)
        self._next = answer["next"]
        yield from self._cloud.of_scaling(answer["events"])

    def _look_at_policies(self) -> Iterable[News]:
        yield from self._cloud.of_denials(self._emulator.ask("denials"))

    def _look_at_balancer(self) -> Iterable[News]:
        if self._stats:
            yield from self._cloud.of_balancer(time.monotonic(), self._stats())
