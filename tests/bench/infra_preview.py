"""What a preview of the AWS program costs: `prod` on the real engine beside an empty program, with its parts.

In between stands an empty program that imports what `prod` imports: most of it is the SDK's own packages.

Each preview is a process of its own, as a user's is: starting Python and importing the program are a part of it.
Who used the processor is asked of the kernel: the engine, the provider (here the stand-in), the program.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from infra.program import program
from infra.rehearsal.stack import deploy
from tests.engine.cloud import start_cloud

ROOT = Path(__file__).parents[2]
KINDS = ("empty", "empty, with the SDK's packages", "prod")
ROUNDS = 3
EVERY_SECONDS = 0.02
"""How often the processes are looked at: what they use after the last look is missed."""
PROVIDERS = ("pulumi-resource-aws", "infra.rehearsal.provider")
"""Words that a provider's command line has: the AWS plugin's, and the stand-in's once its script has started it."""


def measure() -> dict[str, Any]:
    """Return the medians of three previews of each, by turns, and the time of all tests with mocks."""
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="skylift-bench-") as folder:
        place = Path(folder)
        with start_cloud(place / "cloud") as cloud:
            for turn in range(ROUNDS):
                for kind, times in found.items():
                    mine = place / f"{kind}-{turn}"
                    words = [sys.executable, "-m", "tests.bench.infra_preview", kind, str(mine)]
                    times.append(_watched([*words, json.dumps(cloud.settings())], cloud.environment(mine)))
    medians = {
        kind: {part: round(statistics.median(time[part] for time in times), 2) for part in times[0]}
        for kind, times in found.items()
    }
    prod = medians["prod"]
    return {
        **medians,
        "ratios": {
            kind: {
                "whole": round(prod["seconds"] / medians[kind]["seconds"], 2),
                "without_provider": round((prod["seconds"] - prod["provider"]) / medians[kind]["seconds"], 2),
            }
            for kind in KINDS[:-1]
        },
        "mocked_tests_seconds": _mocked_tests(),
    }


def table(measured: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    rows = [
        "| preview on the real engine, s | wall | processor: provider | engine | program |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        wall, *parts = (
            f"{measured[kind][part]:.1f}" for part in ("seconds", "provider", "engine", "program")
        )
        rows.append(f"| {kind} | {wall} | {' | '.join(parts)} |")
    for kind, ratio in measured["ratios"].items():
        rows.append(
            f"| prod to {kind}: whole / without the provider's processor time | "
            f"{ratio['whole']:.2f}x / {ratio['without_provider']:.2f}x | | | |"
        )
    rows.append(f"| all unit tests with mocks | {measured['mocked_tests_seconds']:.1f} | | | |")
    return "\n".join(rows)


def _watched(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a preview and return its wall time and who used how much of the processor."""
    used: dict[str, dict[int, float]] = {"provider": {}, "engine": {}, "program": {}}
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as child:
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(psutil.Process(child.pid), used, over))
        watcher.start()
        code = child.wait()
        over.set()
        watcher.join()
    if code != 0:
        raise RuntimeError(f"the preview must succeed, `{' '.join(command)}` ended with exit code {code}")
    return {
        "seconds": time.monotonic() - begun,
        **{part: sum(times.values()) for part, times in used.items()},
    }


def _watch(root: psutil.Process, used: dict[str, dict[int, float]], over: threading.Event) -> None:
    while not over.wait(EVERY_SECONDS):
        try:
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            try:
                words = " ".join(process.cmdline())
                times = process.cpu_times()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            part = (
                "program"
                if process == root
                else "provider"
                if any(one in words for one in PROVIDERS)
                else "engine"
            )
            used[part][process.pid] = times.user + times.system


def _mocked_tests() -> float:
    files = sorted(str(file) for file in ROOT.glob("tests/test_infra_*.py") if "rehearsal" not in file.name)
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *files], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return round(time.monotonic() - begun, 1)


def _preview(kind: str, folder: Path, settings: dict[str, object]) -> None:
    """Preview once, in this process."""
    environment = dict(os.environ)
    programs = dict(zip(KINDS, (_nothing, _imports, program), strict=True))
    deploy("prod", folder / "stack", environment, settings=settings, program=programs[kind]).preview()


def _nothing() -> None:
    """Describe an empty stack."""


def _imports() -> None:
    """Describe an empty stack, with all the modules that ours uses: the SDK loads its own at the first use."""
    ours = [vars(module) for name, module in list(sys.modules.items()) if name.startswith("infra.")]
    packages = [one for names in ours for one in names.values() if isinstance(one, ModuleType)]
    for package in packages:
        getattr(package, "__all__", None)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        _preview(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
    else:
        print(json.dumps(measure(), indent=1))
