"""Measure the figures that the README quotes: `uv run python -m tests.bench`.

Runs the whole pipeline for every recipe whose data is at hand, the data reader beside a plain memory map, and
writes `tests/bench/RESULTS.md` with hardware and date; the README's block between the `bench` markers is replaced.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench import data_reading, fleet, goodput, goodput_table, infra_preview, resilience
from tests.bench.photographs import write_photographs
from tests.bench.tables import (
    machine,
    pipeline_table,
    reading_table,
    replace_block,
    resilience_table,
    stage_table,
)

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
RESULTS = Path(__file__).parent / "results"
TABLES = {
    "reading": reading_table,
    "resilience": resilience_table,
    "infra_preview": infra_preview.table,
    "goodput": goodput_table.table,
    "fleet": fleet.table,
}
MEASURED = ("digits", "photographs", "ag_news", "tinyshakespeare", *TABLES)
"""All that there is to measure, in the order of the tables."""
console = Console(stderr=True)


def pipelines(folder: Path) -> dict[str, list[str]]:
    """Return the words of every pipeline that can run here; say what the others lack."""
    words = {"digits": [], "photographs": ["--data", f"images:{write_photographs(folder / 'photographs')}"]}
    for name, recipe, kind, file in (
        ("ag_news", "bert", "text", "ag_news_test.csv"),
        ("tinyshakespeare", "gpt", "tokens", "tinyshakespeare.txt"),
    ):
        if (SHARED / file).exists():
            words[name] = ["--recipe", recipe, "--data", f"{kind}:{SHARED / file}"]
        else:
            console.print(f"{name} is left out: {SHARED / file} is not there")
    return words


def run_pipeline(name: str, words: list[str], out: Path) -> dict[str, Any]:
    """Run one pipeline with nothing kept from earlier ones and return its JSON."""
    console.rule(name)
    command = [
        str(Path(sys.executable).with_name("skylift")),
        "pipeline",
        "--json",
        "--out",
        str(out),
        *words,
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Measure, write the tables, show them."""
    parser = argparse.ArgumentParser(prog="tests.bench")
    parser.add_argument(
        "--only",
        default="",
        choices=("", *MEASURED),
        help="measure this alone; empty: all",
    )
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="skylift-bench-") as temporary:
        folder = Path(temporary)
        for name, words in pipelines(folder).items():
            if only in ("", name):
                record(name, run_pipeline(name, words, folder / "out" / name))
    if only in ("", "reading"):
        record("reading", data_reading.measure())
    if only in ("", "resilience"):
        record("resilience", resilience.measure())
    if only in ("", "infra_preview"):
        record("infra_preview", infra_preview.measure())
    if only in ("", "goodput"):
        record("goodput", goodput.measure())
    if only in ("", "fleet"):
        record("fleet", fleet.measure())
    text = tables()
    (ROOT / "tests" / "bench" / "RESULTS.md").write_text(f"# Measured\n\n{text}\n")
    readme = ROOT / "README.md"
    readme.write_text(replace_block(readme.read_text(), text))
    sys.stdout.write(text + "\n")


def record(name: str, measured: dict[str, Any]) -> None:
    """Keep what was measured, with the machine and the day, in place of what was kept before."""
    RESULTS.mkdir(exist_ok=True)
    kept = {"machine": machine(), "measured": measured}
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def tables() -> str:
    """Return the tables of all that is kept, and on what it was measured."""
    kept = {
        n: json.loads((RESULTS / f"{n}.json").read_text())
        for n in MEASURED
        if (RESULTS / f"{n}.json").exists()
    }
    machines = "\n".join(sorted({row["machine"] for row in kept.values()}))
    results = {name: row["measured"] for name, row in kept.items() if name not in TABLES}
    parts = [machines, pipeline_table(results), stage_table(results)]
    for name, table in TABLES.items():
        if name in kept:
            parts.append(table(kept[name]["measured"]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
