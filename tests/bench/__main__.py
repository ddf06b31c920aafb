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

from tests.bench import data_reading
from tests.bench.photographs import write_photographs
from tests.bench.tables import machine, pipeline_table, reading_table, replace_block, stage_table

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
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
    parser.add_argument("--only", default="", help="one of digits, photographs, ag_news, tinyshakespeare")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="skylift-bench-") as temporary:
        folder = Path(temporary)
        chosen = {k: words for k, words in pipelines(folder).items() if only in ("", k)}
        results = {name: run_pipeline(name, words, folder / name) for name, words in chosen.items()}
    text = "\n\n".join(
        [machine(), pipeline_table(results), stage_table(results), reading_table(data_reading.measure())]
    )
    if only:
        console.print(f"only {only}: the recorded table is left as it is")
    else:
        (ROOT / "tests" / "bench" / "RESULTS.md").write_text(f"# Measured\n\n{text}\n")
        readme = ROOT / "README.md"
        readme.write_text(replace_block(readme.read_text(), text))
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
