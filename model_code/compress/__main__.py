"""Make a trained network smaller and faster, and let only what keeps its quality pass.

    python -m model_code.compress --run URI --serve-files DIR [--name NAME] [--threads 1] [compress.key=value ...]

analyses the network, builds candidates, measures each as a packaged archive, writes `report.json` and `report.html` in
the run's folder, and prints one JSON object. Exit code 1, with the report, when no candidate passes the gate. Called
again it redoes only what is missing.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from model_code import store
from model_code.arguments import Arguments
from model_code.compress.analyse import Analysis, analyse, validation_measure
from model_code.compress.build import Builder, Packing
from model_code.compress.distill import layer_list
from model_code.compress.export import example_inputs
from model_code.compress.networks import Base, Networks, cores
from model_code.compress.progress import CompressProgress
from model_code.compress.report import build_report, render_html
from model_code.compress.search import Outcome, Situation, search
from model_code.compress.workspace import Workspace, key_of
from model_code.config import override
from model_code.data.read import ShardReader
from model_code.errors import InputError, RunFailedError, exit_on_sigterm, run_stage
from model_code.identity import code_digest
from model_code.tasks import task_for
from model_code.trained import Trained, load_trained


def main(words: list[str]) -> None:
    """Compress what the command line names, write the report, print the result or refuse."""
    parser = Arguments(
        prog="python -m model_code.compress", description="Compress a run behind a quality gate."
    )
    parser.add_argument("--run", required=True, help="URI of a finished training run")
    parser.add_argument(
        "--serve-files", type=Path, required=True, help="folder with handler.py and predictor.py"
    )
    parser.add_argument("--name", default="", help="the model's name; default: family and data set")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of one answer, 1 by default")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where it is served"
    )
    asked, settings = parser.parse_known_args(words)
    with exit_on_sigterm():
        result = compress(
            asked.run,
            asked.serve_files,
            settings,
            name=asked.name,
            threads=asked.threads,
            device=asked.device,
        )
    print(json.dumps(result))  # noqa: T201 - the stage's result
    if not result["passed"]:
        raise RunFailedError(refusal(result))


def compress(
    run: str,
    serve_files: Path,
    settings: list[str],
    *,
    name: str = "",
    threads: int = 1,
    device: str = "auto",
) -> dict[str, Any]:
    """Analyse, build, measure, judge and report; return the stage's result, passed or not.

    Raises:
        InputError: a wrong setting, an unfinished run, serving files that are not there.
    """
    if not (serve_files / "predictor.py").is_file():
        raise InputError(
            f"--serve-files must be a folder with predictor.py, got `{serve_files}`; name the serve_config folder"
        )
    if not 1 <= threads <= 1024:
        raise InputError(f"--threads must be between 1 and 1024, got {threads}; write --threads 1")
    begun = time.monotonic()
    prepare_torch()
    trained = load_trained(run)
    trained = replace(trained, config=override(trained.config, settings))
    packing = Packing(
        name=name or model_name(trained),
        serve_files=serve_files,
        threads=threads,
        device=choose_device(device),
    )
    with tempfile.TemporaryDirectory(prefix="skylift-compress-") as scratch:
        workspace = Workspace(run, Path(scratch))
        with CompressProgress(Console(stderr=True)) as progress:
            base = describe(trained, packing.device)
            analysis = measure_layers(base, workspace, progress)
            networks = Networks(base, analysis, workspace, progress.step)
            builder = Builder(base, networks, packing, workspace)
            situation = situate(base, analysis, packing)
            outcome = search(builder, trained.config.compress, situation, progress.say)
        report = build_report(trained, base.task, analysis, outcome, packing)
        page = render_html(report)
    store.write(workspace.uri("report.html"), page.encode())
    store.write(workspace.uri("report.json"), (json.dumps(report, indent=1) + "\n").encode())
    return stage_result(report, outcome, workspace, time.monotonic() - begun)


def prepare_torch() -> None:
    """Use every core for fine-tuning, and keep exporters' notes about their own insides off the screen."""
    torch.set_num_threads(cores())
    for noisy in ("torch.utils._pytree", "torch.onnx", "onnxscript", "onnx_ir", "torchao"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def choose_device(asked: str) -> str:
    """Return `cpu` or `cuda`.

    Raises:
        InputError: CUDA was asked for and is not there.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda needs a CUDA device, none is visible; write --device cpu")
    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"


def model_name(trained: Trained) -> str:
    """Return family and data set as a name that can stand in a URL."""
    text = f"{trained.config.model.family}-{trained.index.dataset}".lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:63]


def describe(trained: Trained, device: str) -> Base:
    """Return what every candidate is made from."""
    task = task_for(trained.index, trained.tokenizer_json, max_tokens=trained.config.model.max_tokens)
    batch = next(iter(ShardReader(trained.config.data, "train").batches(2)))
    source = key_of(trained.run_id, trained.result["model_sha256"], trained.index.version, code_digest())
    inputs = {key: torch.cat([value, value])[:2] for key, value in task.inputs(batch).items()}
    return Base(
        trained=trained,
        task=task,
        example=example_inputs(trained.index.kind, inputs),
        device=torch.device(device),
        source_key=source,
    )


def measure_layers(base: Base, workspace: Workspace, progress: CompressProgress) -> Analysis:
    """Return the analysis, from the run's folder where it is there."""
    key = key_of(base.source_key, "analysis")
    known = workspace.finished("analysis", key)
    if known is not None:
        return Analysis.from_dict(known["analysis"])
    workspace.empty("analysis")
    measure = validation_measure(base.task, ShardReader(base.trained.config.data, "validation"), base.device)
    analysis = analyse(
        base.trained.model.to(base.device),
        {name: tensor.to(base.device) for name, tensor in base.example.items()},
        measure,
        higher_is_better=base.task.higher_is_better,
        advance=lambda done, total: progress.step("analyse layers", done, total),
    )
    base.trained.model.to("cpu")
    workspace.finish("analysis", key, {"analysis": analysis.to_dict()})
    return analysis


def situate(base: Base, analysis: Analysis, packing: Packing) -> Situation:
    """Return what the search has to know of the network."""
    stack = layer_list(base.trained.model) if base.trained.index.kind != "images" else None
    return Situation(
        kind=base.trained.index.kind,
        layers=len(stack) if stack else 0,
        on_gpu=packing.device != "cpu",
        higher_is_better=base.task.higher_is_better,
        sensitive=analysis.sensitive_layers(),
    )


def stage_result(
    report: dict[str, Any], outcome: Outcome, workspace: Workspace, seconds: float
) -> dict[str, Any]:
    """Return the stage's result: the report without its long parts, and where everything lies."""
    kept = (
        "run_id",
        "name",
        "passed",
        "tolerance",
        "required_ratio",
        "metric_name",
        "baseline",
        "candidates",
    )
    return {
        **{key: report[key] for key in kept},
        "chosen": outcome.chosen,
        "best_ratio": outcome.best_ratio(),
        "mar": workspace.uri("candidates", outcome.chosen, "model.mar") if outcome.chosen else None,
        "report": workspace.uri("report.json"),
        "report_html": workspace.uri("report.html"),
        "seconds": round(seconds, 2),
    }


def refusal(result: dict[str, Any]) -> str:
    """Return the one line that says why nothing may be released, and what to do."""
    return (
        f"no candidate keeps {result['required_ratio']:.4g} of the quality (compress.tolerance="
        f"{result['tolerance']:g}); the best keeps {result['best_ratio']:.4f}, see {result['report_html']}; "
        "lower compress.tolerance, or raise compress.epochs or compress.rounds"
    )


if __name__ == "__main__":
    run_stage(main)
