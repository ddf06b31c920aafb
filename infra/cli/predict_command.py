"""`skylift predict`: ask a server about some inputs, or a release about a whole data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from infra.cli import processes, stages
from infra.cli.errors import InputError, RunFailedError
from infra.cli.layout import layout
from infra.cli.options import Out
from infra.cli.output import print_json, progress
from infra.cli.pipeline import PipelineOptions, Story, prepare
from infra.cli.predict import predict_inputs

SERVER, BATCH = "A server", "A data set"
"""The two groups of options: each belongs to one of the two ways."""


def predict(
    name: Annotated[str, typer.Option(help="The model's name.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Images, .jsonl (a request a line), .txt (a text a line), or -."),
    ] = None,
    url: Annotated[
        str, typer.Option(help="The server, as https://127.0.0.1:8443.", rich_help_panel=SERVER)
    ] = "",
    ca: Annotated[
        Path | None,
        typer.Option(help="Certificate to trust, as `skylift serve` printed it.", rich_help_panel=SERVER),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=0, help="Requests in flight; 0: 16.", rich_help_panel=SERVER)
    ] = 0,
    batch: Annotated[
        str,
        typer.Option(
            help="A data set to answer without a server: digits, images:DIR, … or ready shards.",
            rich_help_panel=BATCH,
        ),
    ] = "",
    version: Annotated[
        str, typer.Option(help="Release that answers; empty: the current one.", rich_help_panel=BATCH)
    ] = "",
    split: Annotated[
        str, typer.Option(help="train, validation or test; empty: test.", rich_help_panel=BATCH)
    ] = "",
    nproc: Annotated[
        int, typer.Option(min=0, help="Processes on this machine; 0: 2.", rich_help_panel=BATCH)
    ] = 0,
    out_file: Annotated[
        str,
        typer.Option(
            help="File or s3:// URI of the JSON lines; empty: below OUT/predictions/NAME/.",
            rich_help_panel=BATCH,
        ),
    ] = "",
    out: Out = "skylift-out",
) -> None:
    """Ask a server (INPUTS --url): one JSON line an input, in the inputs' order.

    Or let a release answer a data set (--batch DATA): one JSON line a sample in --out-file, in stored order; the same
    command goes on where a killed one stopped.
    """
    server = {"--url": url, "--ca": ca, "--concurrency": concurrency, "INPUTS": inputs}
    batches = {"--version": version, "--split": split, "--nproc": nproc, "--out-file": out_file}
    if batch:
        _refuse(server, "--batch", "leave it out: no server is asked")
        print_json(predict_batch(batch, name, version, split or "test", nproc or 2, out_file, out))
        return
    _refuse(batches, "INPUTS", "give --batch DATA, or leave it out")
    if not inputs or not url:
        missing = "INPUTS" if not inputs else "--url"
        raise InputError(
            f"{missing} must be given to ask a server, as in `skylift predict FILE --url URL --name {name}`; "
            "for a whole data set give --batch DATA"
        )
    ask_server(inputs, f"{url.rstrip('/')}/predictions/{name}", ca, concurrency or 16)


def ask_server(inputs: list[str], url: str, ca: Path | None, concurrency: int) -> None:
    """Print an answer an input.

    Raises:
        RunFailedError: an answer was not 200.
    """
    failed = 0
    for line in predict_inputs(inputs, url, ca, concurrency, progress):
        failed += line["status"] != 200
        print_json(line)
    if failed:
        raise RunFailedError(f"{failed} of the requests failed; see `status` and `answer` above")


def predict_batch(
    data: str, name: str, version: str, split: str, nproc: int, out_file: str, out: str
) -> dict[str, Any]:
    """Let a release answer a split of a data set and return what was counted."""
    where = layout(out)
    story = Story(progress)
    shards = prepare(story, PipelineOptions(recipe="", data=data, where=where))
    release = "/".join(filter(None, (where.models, name, version)))
    target = out_file or f"{where.root}/predictions/{name}/"
    command = stages.batch_command(where, release, shards, split, target, nproc)
    return processes.run("predict", command, stages.BATCH_ENVIRONMENT).result


def _refuse(options: dict[str, Any], with_what: str, hint: str) -> None:
    for option, value in options.items():
        if value:
            given = ", ".join(value) if isinstance(value, list) else value
            raise InputError(f"{option} must not be given with {with_what}, got `{given}`; {hint}")
