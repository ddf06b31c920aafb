"""A training that is killed again and again: what share of its time counts, here and by plain torchrun.

    uv run python -m tests.bench.goodput --seconds 600 --mean 60

Two hosts are two addresses of the loopback, AWS is moto. A host that vanishes stops whole, then is killed; a machine in
its place starts at once. Three trainings, one after the other: by the node's program, the same steps undisturbed, and
by plain `torchrun --nnodes 1:2` on two hosts whose loop starts it again whenever it ends, with the same checkpoints
and killed at the same moments.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.goodput_hosts import Hosts, NodeHosts, TorchrunHosts, world
from tests.bench.goodput_split import Event, Split, best_interval, expected_goodput, split

MEAN_SECONDS = 60.0
"""Between two kills, on average."""
RUN_SECONDS = 600.0
PLAIN_SECONDS = 720.0
"""How long plain torchrun may take for the same steps."""
EVERY = 16
"""Steps between two checkpoints."""
SEED = 6
TAIL = 1024
"""Bytes at the end of a file that hold its last step."""
REAL_NODES = (16, 64, 256, 1000)
REAL_MTBF_HOURS, REAL_CHECKPOINT, REAL_RESTART = 6250.0, 5.0, 60.0
"""Assumed of a cluster: hours between failures of a node with eight GPUs (50,000 of a GPU), and what a checkpoint and a
restart cost, in seconds."""


def moments(seed: int, mean: float, seconds: float) -> list[tuple[float, int]]:
    """Return when which of two hosts vanishes: seconds after the first step, exponentially far apart."""
    chance, at, found = random.Random(seed), 0.0, []
    while (at := at + chance.expovariate(1 / mean)) < seconds:
        found.append((at, chance.randrange(2)))
    return found


def events(folder: Path) -> list[Event]:
    """Return what rank 0 of every process wrote; a line that was being written is left out."""
    found = []
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row.pop("rank") == 0:
                found.append(Event(**row, process=int(path.stem)))
    return found


def steps_in(folder: Path) -> int:
    """Return the newest step that was made, from the ends of the files: it is asked while others compute."""
    newest = 0
    for path in folder.glob("*.jsonl"):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            found = re.findall(rb'"kind": "step", "rank": 0, "step": (\d+),', file.read())
        newest = max(newest, *map(int, found), 0)
    return newest


def disturbed(hosts: Hosts, kills: list[tuple[float, int]], over: Callable[[float], bool]) -> Split:
    """Train on two hosts, let them vanish at moments after the first step, and return where the time went.

    Args:
        hosts: not started.
        kills: when, and which.
        over: tells from the seconds since the start whether it is enough.
    """
    begun, first = time.time(), 0.0
    hosts.start()
    waiting = list(kills)
    while not over(time.time() - begun):
        time.sleep(0.1)
        if not first:
            first = time.time() if steps_in(hosts.probe) else 0.0
            continue
        if waiting and time.time() - first >= waiting[0][0]:
            _, which = waiting.pop(0)
            say(f"{time.time() - begun:.0f} s: host {which} vanishes at step {steps_in(hosts.probe)}")
            hosts.replace(which)
    ended = time.time()
    hosts.close()
    found = split(events(hosts.probe), begun, ended)
    say(f"{type(hosts).__name__}: {found} goodput {found.goodput:.1%}")
    return found


def measure(seconds: float = RUN_SECONDS, mean: float = MEAN_SECONDS, plain: float = PLAIN_SECONDS,
            every: int = EVERY) -> dict[str, Any]:  # fmt: skip
    """Return the three splits and what follows from them."""
    kills = moments(SEED, mean, seconds)
    with tempfile.TemporaryDirectory(prefix="skylift-goodput-") as temporary:
        folder = Path(temporary)
        with world(folder, every) as aws:
            here = disturbed(NodeHosts(aws, folder / "here"), kills, lambda past: past >= seconds)
            calm = NodeHosts(aws, folder / "calm")
            undisturbed = disturbed(calm, [], lambda _: steps_in(calm.probe) >= here.steps)
            other = TorchrunHosts(aws, folder / "plain")
            enough = lambda past: past >= plain or steps_in(other.probe) >= here.steps  # noqa: E731
            torchrun = disturbed(other, kills, enough)
    step = undisturbed.productive / undisturbed.steps
    checkpoint = undisturbed.checkpoint / max(1, undisturbed.steps // every)
    restart = here.restart / max(1, len(kills))
    return {
        "kills": len(kills),
        "mean_seconds": mean,
        "every": every,
        "step_seconds": step,
        "checkpoint_seconds": checkpoint,
        "restart_seconds": restart,
        "best_interval_seconds": best_interval(checkpoint, mean),
        "here": asdict(here),
        "undisturbed": asdict(undisturbed),
        "torchrun": asdict(torchrun),
        "real": real(),
    }


def real() -> list[dict[str, float]]:
    """Return the best interval and the goodput that follows for clusters of some sizes."""
    rows = []
    for nodes in REAL_NODES:
        hours = REAL_MTBF_HOURS / nodes
        rows.append(
            {
                "nodes": nodes,
                "mtbf_hours": hours,
                "interval_seconds": best_interval(REAL_CHECKPOINT, hours * 3600),
                "goodput": expected_goodput(REAL_CHECKPOINT, REAL_RESTART, hours * 3600),
            }
        )
    return rows


def say(line: str) -> None:
    """Print a line for who waits."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> None:
    """Measure, and print it as JSON."""
    parser = argparse.ArgumentParser(prog="tests.bench.goodput")
    parser.add_argument("--seconds", type=float, default=RUN_SECONDS)
    parser.add_argument("--mean", type=float, default=MEAN_SECONDS)
    parser.add_argument("--plain", type=float, default=PLAIN_SECONDS)
    parser.add_argument("--every", type=int, default=EVERY)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.seconds, asked.mean, asked.plain, asked.every), indent=1))


if __name__ == "__main__":
    main()
