"""The load balancer: HAProxy, kept as the ELBv2 API of the emulated AWS says, which is told what HAProxy sees."""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from infra.rehearsal.addresses import BALANCER
from infra.rehearsal.balancer import balancer_metrics, haproxy_config
from infra.rehearsal.balancer.description import Balancing, DescriptionError, described
from infra.rehearsal.balancer.haproxy_process import Haproxy, HaproxyError
from infra.rehearsal.balancer.listener_files import ListenerFiles
from infra.rehearsal.balancer.metrics_report import Report
from infra.rehearsal.balancer.targets import Targets
from infra.rehearsal.emulator import Emulator, EmulatorError
from infra.rehearsal.story import Story

POLL_SECONDS = 0.5
"""Between two looks at the API."""
WHERE = "balancer"
"""Where its events happen."""


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What went through since the start."""

    requests: int = 0
    """Requests that are over."""
    failed: int = 0
    """Those that were answered 5xx, or not at all."""
    p50_ms: float = 0.0
    """Median of the last response times, in milliseconds."""
    answered_by: dict[str, int] = field(default_factory=dict)
    """Instance -> requests that went to it."""
    targets: dict[str, str] = field(default_factory=dict)
    """Instance -> state, in AWS's words."""


class Balancer:
    """A load balancer that is there while the API has one with a listener."""

    def __init__(self, emulator: Emulator, folder: Path, story: Story, *, address: str = BALANCER) -> None:
        """Start nothing yet.

        Args:
            emulator: whose balancer it is, and whose authority vouches for the issuer of tokens.
            folder: for its log.
            story: is told what cannot be done.
            address: IP address that it listens on.

        Raises:
            InputError: there is no HAProxy.
        """
        self.address = address
        self._emulator, self._story = emulator, story
        self._run = Path(tempfile.mkdtemp(prefix="skylift-"))  # paths of sockets end at 107 bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "balancer.log"
        self._haproxy = Haproxy(self._run, self._log)
        self._files = ListenerFiles(self._run, emulator.ca)
        self._targets = Targets(self._haproxy)
        self._metrics = balancer_metrics.Metrics()
        self._report = Report(emulator, self._metrics)
        self._balancing: Balancing | None = None
        self._states: dict[str, str] = {}
        self._complaint = ""
        self._ended, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="balancer", daemon=True)

    @property
    def door(self) -> Path:
        """UNIX socket of its first listener, TLS inside, for callers outside of the rehearsal's network."""
        return self._run / "door.sock"

    def start(self) -> None:
        """Follow the API until `stop`."""
        (self._run / "502.http").write_text(haproxy_config.refused(), newline="")
        self._thread.start()

    def stop(self) -> None:
        """End HAProxy, and all requests with it."""
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._haproxy.stop()
        shutil.rmtree(self._run, ignore_errors=True)

    def stats(self) -> Stats:
        """Return what went through since the start."""
        ever = self._metrics.ever()
        by = {name.removeprefix("by "): count for name, count in ever.items() if name.startswith("by i-")}
        return Stats(
            requests=ever["requests"],
            failed=ever["failed"],
            p50_ms=self._metrics.median(),
            answered_by=by,
            targets=dict(self._states),
        )

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                complaint = self._look()
            except (EmulatorError, HaproxyError, DescriptionError) as error:
                complaint = str(error)
            if complaint and complaint != self._complaint:
                self._story.tell("note", f"load balancer: {complaint}", where=WHERE)
            self._complaint = complaint
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _look(self) -> str:
        """Do what the API says now, and return what of it cannot be done."""
        answer = self._emulator.ask("balancers")
        found = [described(one) for one in answer if one["listeners"]]
        if not found:
            self._haproxy.stop()
            self._balancing, self._states = None, {}
            return ""
        balancing = found[0]
        self._configure(balancing)
        self._targets.put(balancing)
        self._tell(balancing)
        self._report.send(balancing, self._states)
        if len(found) > 1:
            return f"one load balancer is rehearsed, the API has {len(found)}: the first is taken"
        return self._files.reason

    def _configure(self, balancing: Balancing) -> None:
        """Give HAProxy what is not a matter of targets, where that has changed."""
        files = self._files.write(balancing, self.address)
        bare = replace(
            balancing, groups={arn: replace(one, targets=()) for arn, one in balancing.groups.items()}
        )
        if not self._haproxy.alive:
            self._targets.forget()
            output = self._haproxy.start(haproxy_config.render(bare, files))
            threading.Thread(target=self._read, args=(output,), name="balancer-log", daemon=True).start()
        elif bare != self._balancing or self._files.changed:
            self._haproxy.reload(haproxy_config.render(self._targets.present(balancing), files))
        self._balancing = bare
        self._files.changed = False

    def _tell(self, balancing: Balancing) -> None:
        states: dict[str, str] = {}
        for group, health in self._targets.health(balancing):
            states |= {name: told[0] for name, told in health.items()}
            if self._targets.told(group.arn, health):
                self._emulator.ask("target-health", arn=group.arn, health=health)
        self._states = states

    def _read(self, output: IO[bytes]) -> None:
        """Count requests; what HAProxy says of itself goes into the log."""
        with output, self._log.open("ab") as log:
            for line in output:
                answered = balancer_metrics.read(line.decode(errors="replace"))
                if answered is None:
                    log.write(line)
                    log.flush()
                    continue
                self._metrics.add(answered)
                if answered.stranger:
                    self._files.stranger.set()
                    self._wake.set()
