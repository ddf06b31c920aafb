"""The gate's report: `report.json` for programs and the release, `report.html` for people, whole in one file."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from model_code.compress.analyse import SENSITIVE_RATIO, Analysis
from model_code.compress.build import Packing
from model_code.compress.charts import pareto_chart, sensitivity_chart, short
from model_code.compress.search import Outcome
from model_code.tasks import Task
from model_code.trained import Trained

FORMAT = 1
"""Layout of report.json."""

INTERNAL = ("key", "files", "lossless")
"""Fields of a candidate's result that concern its folder only."""


def build_report(
    trained: Trained, task: Task, analysis: Analysis, outcome: Outcome, packing: Packing
) -> dict[str, Any]:
    """Return the report of a finished search, passed or not."""
    config, index = trained.config, trained.index
    chosen = next((row for row in outcome.candidates if row["name"] == outcome.chosen), None)
    return {
        "format": FORMAT,
        "run_id": trained.run_id,
        "name": packing.name,
        "family": config.model.family,
        "dataset": {
            "dataset": index.dataset,
            "version": index.version,
            "uri": config.data,
            "test_samples": outcome.baseline["test_samples"],
        },
        "metric_name": task.metric_name,
        "higher_is_better": task.higher_is_better,
        "tolerance": config.compress.tolerance,
        "required_ratio": config.compress.required_ratio,
        "passed": chosen is not None,
        "chosen": outcome.chosen,
        "mar_sha256": chosen["mar_sha256"] if chosen else None,
        "baseline": _public(outcome.baseline),
        "candidates": [_public(row) for row in outcome.candidates],
        "failed": outcome.failed,
        "adjustments": outcome.adjustments,
        "analysis": analysis.to_dict(),
        "machine": machine(packing),
    }


def render_html(report: dict[str, Any]) -> str:
    """Return a report as one HTML page that loads nothing from elsewhere."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"metric": lambda value: _metric(value, report["metric_name"]), "short": short}
    environment.filters |= {"megabytes": lambda size: f"{size / 1e6:.2f} MB", "count": _count}
    chosen = next((row for row in report["candidates"] if row["name"] == report["chosen"]), None)
    ratios = [row["ratio"] for row in report["candidates"] if row["fidelity"]["faithful"]]
    return environment.get_template("report.html.j2").render(
        report=report,
        base=report["baseline"],
        chosen=chosen,
        best_ratio=max(ratios, default=0.0),
        pareto=Markup(pareto_chart(report)),  # noqa: S704 - our own SVG, names in it are escaped by matplotlib
        sensitivity=Markup(sensitivity_chart(report["analysis"], SENSITIVE_RATIO)),  # noqa: S704 - likewise
    )


def machine(packing: Packing) -> dict[str, Any]:
    """Return where and with what the figures were taken."""
    return {
        "cpu": _cpu_name(),
        "threads": packing.threads,
        "device": packing.device,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "onnxruntime": importlib.metadata.version("onnxruntime"),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _public(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in INTERNAL}


def _metric(value: float, name: str) -> str:
    return f"{value:.2%}" if name == "accuracy" else f"{value:.4f}"


def _count(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:g}"


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
