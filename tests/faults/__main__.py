"""Inject every fault many times: `uv run python -m tests.faults [--area AREA] [--only NAME] [--times N]`.

Prints the table of faults and writes `tests/faults/RESULTS.md` with hardware and date; the README's block between the
`faults` markers is replaced. Exit code 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench.tables import machine, replace_block
from tests.faults.fault import Fault
from tests.faults.table import BEGIN, END, row, table

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
AREAS = ("training", "watchdogs", "rollout", "serving", "batch", "together", "fuzz", "rehearsal")
"""The modules beside this file: each holds `FAULTS`."""
console = Console(stderr=True)


def main() -> int:
    """Inject, write the table, show it."""
    parser = argparse.ArgumentParser(prog="tests.faults")
    parser.add_argument("--area", default="", choices=("", *AREAS), help="one area; default: all")
    parser.add_argument("--only", default="", help="faults whose name holds this text")
    parser.add_argument("--times", type=int, default=0, help="injections of each; default: the fault's own")
    asked = parser.parse_args()
    kept = True
    for area in (asked.area,) if asked.area else AREAS:
        chosen = [fault for fault in faults(area) if asked.only in fault.name and possible(fault)]
        rows = [injected(fault, asked.times or fault.times) for fault in chosen]
        if rows:
            record(area, rows)
        kept = kept and not any(one["broken"] for one in rows)
    text = tables()
    (ROOT / "tests" / "faults" / "RESULTS.md").write_text(f"# Faults\n\n{text}\n")
    readme = ROOT / "README.md"
    readme.write_text(replace_block(readme.read_text(), text, BEGIN, END))
    sys.stdout.write(text + "\n")
    return 0 if kept else 1


def faults(area: str) -> tuple[Fault, ...]:
    """Return the faults of an area."""
    found: tuple[Fault, ...] = import_module(f"tests.faults.{area}").FAULTS
    return found


def possible(fault: Fault) -> bool:
    """Tell whether a fault can be injected on this machine; say why where it cannot."""
    if reason := fault.why_not():
        console.print(f"{fault.name} is left out: {reason}", highlight=False, markup=False)
    return not reason


def injected(fault: Fault, times: int) -> dict[str, Any]:
    """Inject a fault so many times, each in a folder of its own, and return its row."""
    seen: list[dict[str, Any]] = []
    broken: list[str] = []
    for number in range(times):
        folder = Path(tempfile.mkdtemp(prefix="skylift-fault-"))
        try:
            found = fault.inject(folder)
            seen.append(asdict(found))
            said = found.what
        except AssertionError as error:
            said = " ".join(str(error).split())[:300]
            broken.append(said)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        console.print(f"{fault.name} {number + 1}/{times}: {said}", highlight=False, markup=False)
    return row(fault.name, fault.promise, seen, broken)


def record(area: str, rows: list[dict[str, Any]]) -> None:
    """Keep what was seen, with the machine and the day, in place of what was kept of the same faults before."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{area}.json"
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    by_name = {one["name"]: one for one in (*before, *rows)}
    known = [fault.name for fault in faults(area)]
    kept = {"machine": machine(), "rows": [by_name[name] for name in known if name in by_name]}
    path.write_text(json.dumps(kept, indent=1) + "\n")


def tables() -> str:
    """Return the table of all that is kept, and on what it was seen."""
    files = [RESULTS / f"{area}.json" for area in AREAS]
    kept = {path.stem: json.loads(path.read_text()) for path in files if path.exists()}
    machines = "\n".join(sorted({one["machine"] for one in kept.values()}))
    return f"{machines}\n\n{table({area: one['rows'] for area, one in kept.items()})}"


if __name__ == "__main__":
    sys.exit(main())
