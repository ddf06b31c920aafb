"""`skylift pipeline`: data, train, compress, release, serve and predict on one machine, in that order."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.cli import processes, stages
from infra.cli.errors import RunFailedError, StageFailedError
from infra.cli.haproxy import require_haproxy
from infra.cli.held_out import read_held_out
from infra.cli.inference import send_all
from infra.cli.layout import Layout
from infra.cli.settings import split_settings
from infra.cli.sources import parse_data
from infra.cli.summary import pipeline_result, serving_figures


@dataclass(frozen=True, kw_only=True)
class PipelineOptions:
    """What one pipeline is asked for."""

    recipe: str
    """Built-in recipe or `path/to/file.py:function`."""
    data: str
    """A source or ready shards, see `infra/cli/sources.py`."""
    where: Layout
    """Where everything is written."""
    name: str = ""
    """The released model's name; empty: recipe and data set."""
    nproc: int = 2
    """Training processes, 1 or more."""
    workers: int = 2
    """TorchServe workers, 1 or more."""
    concurrency: int = 16
    """Requests in flight while the held-out set is served."""
    settings: tuple[str, ...] = ()
    """Config overrides, `key=value`."""
    data_options: tuple[str, ...] = ()
    """Options of the data stage."""
    keep: bool = False
    """Leave the server running at the end."""


def run_pipeline(options: PipelineOptions, console: Console) -> dict[str, Any]:
    """Do the whole job and return its result (see `summary.pipeline_result`), with time and memory per stage.

    Raises:
        InputError: a wrong option.
        StageFailedError: a stage failed and said why.
    """
    require_haproxy(console)
    story = Story(console)
    where = options.where
    _, compression = split_settings(options.settings)
    story.run("check", stages.check_command(options.recipe, list(options.settings)))
    shards = prepare(story, options)
    train = train_stage(story, options, shards)
    run_uri = f"{where.runs}/{train['run_id']}"
    compressed = story.run("compress", stages.compress_command(run_uri, options.name, compression))
    publish = stages.release_command("publish", where.models, str(where.keys), ["--run", run_uri])
    published = story.run("release", publish)
    offline = where.local / "offline" / f"{published['version']}.jsonl"
    story.run("predict offline", stages.offline_command(where, published["uri"], shards, offline))
    with story.served(options, published["name"]) as node:
        serving = serve_held_out(story, options, node, offline)
        if options.keep:
            story.keep(node, offline)
    result = pipeline_result(train, compressed, published, serving)
    return result | {"stages": story.stages}


def prepare(story: Story, options: PipelineOptions) -> str:
    """Return the URI of the shards, made from the source where they are not there yet."""
    data = parse_data(options.data)
    if data.shards:
        return data.shards
    command = stages.data_command(data.source, options.where.data, list(options.data_options))
    return str(story.run("data", command)["uri"])


def train_stage(story: Story, options: PipelineOptions, shards: str) -> dict[str, Any]:
    """Train and return what the run says of itself."""
    nproc = options.nproc
    settings, _ = split_settings(options.settings)
    command = stages.train_command(options.recipe, shards, options.where.runs, nproc, settings)
    result = story.run("train", command, stages.train_environment(nproc, os.cpu_count() or 1))
    if result.get("stopped"):
        raise RunFailedError("training was stopped before its end; the same command resumes it")
    return result


class Story:
    """The stages as they pass: announced on stderr, their time and memory kept."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stages: dict[str, dict[str, float]] = {}

    def run(
        self, stage: str, command: list[str], environment: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Run one stage and return its result."""
        self.console.rule(f"[bold]{stage}", align="left")
        finished = processes.run(stage, command, environment)
        self._note(stage, finished.seconds, finished.peak_memory_bytes)
        return finished.result

    @contextlib.contextmanager
    def served(self, options: PipelineOptions, name: str) -> Iterator[dict[str, Any]]:
        """Serve a model, give what the node said when it was ready, and stop it (unless it is kept)."""
        self.console.rule("[bold]serve", align="left")
        begun = time.monotonic()
        words = ["--workers", str(options.workers), "--port", "0", "--metrics-port", "0"]
        words += ["--state", str(options.where.local / "serve")]
        log = options.where.local / "serve.log" if options.keep else None
        child = processes.start(stages.serve_command(options.where, name, words), log)
        kept = False
        try:
            node = processes.first_json(child, "serve")
            self._note("serve (start)", time.monotonic() - begun, 0)
            yield node
            kept = options.keep
        except StageFailedError:
            if log:
                self.console.print(log.read_text(), markup=False, highlight=False)
            raise
        finally:
            if not kept:
                processes.stop(child)

    def keep(self, node: dict[str, Any], offline: Path) -> None:
        """Say how to call the server that is left running, and how to stop it."""
        first = json.loads(offline.read_text().splitlines()[0])
        body = offline.with_name("example-request")
        body.write_bytes(base64.b64decode(first["body"]))
        self.console.print(
            f"[bold]still serving[/] (process {node['pid']}; stop it: kill {node['pid']})", soft_wrap=True
        )
        self.console.print(
            f"curl --cacert {node['ca']} -H 'Content-Type: {first['content_type']}' --data-binary @{body} "
            f"{node['url']}/predictions/{node['name']}",
            soft_wrap=True, highlight=False, markup=False,
        )  # fmt: skip

    def _note(self, stage: str, seconds: float, peak: int) -> None:
        self.stages[stage] = {"seconds": round(seconds, 2), "peak_memory_bytes": peak}
        memory = f", {peak / 2**20:.0f} MiB" if peak else ""
        self.console.print(f"[green]done[/] {stage} in {seconds:.1f} s{memory}", highlight=False)


def serve_held_out(
    story: Story, options: PipelineOptions, node: dict[str, Any], offline: Path
) -> dict[str, Any]:
    """Send the whole held-out set to the node and return the figures."""
    held_out = read_held_out(offline)
    columns = (TextColumn("requests"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=story.console) as progress:
        bar = progress.add_task("requests", total=len(held_out.requests))
        begun = time.monotonic()
        answers = send_all(
            f"{node['url']}/predictions/{node['name']}",
            held_out.requests,
            ca=Path(node["ca"]),
            concurrency=options.concurrency,
            answered=lambda: progress.advance(bar),
        )
    return serving_figures(answers, held_out.expected, time.monotonic() - begun, node["workers"])
