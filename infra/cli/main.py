"""`skylift`: one command a stage, and `pipeline` for all of them. Thin: every stage is a process of another room."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from infra.cli import processes, rehearse_command, releases, stages
from infra.cli.cloud import data_place
from infra.cli.cost_command import cost
from infra.cli.errors import InputError, RunFailedError, StageFailedError
from infra.cli.haproxy import require_haproxy
from infra.cli.layout import layout
from infra.cli.options import (
    Data,
    Header,
    ImageSize,
    Json,
    LabelColumn,
    Name,
    Nproc,
    OnError,
    Out,
    Recipe,
    TextColumn,
    Workers,
    words,
)
from infra.cli.output import print_json, progress
from infra.cli.pipeline import PipelineOptions, Story, prepare, run_pipeline, train_stage
from infra.cli.predict_command import predict
from infra.cli.settings import settings_of, split_settings, tolerance_setting
from infra.cli.sources import parse_data, recipe_for
from infra.cli.summary import closing_table
from infra.cli.wheels import wheels

HELP = "Lift a PyTorch model into the cloud: train, compress behind a gate, release, serve."
INTERRUPTED = 130
"""The exit code that shells expect of what Ctrl-C ended."""
app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The words that a command does not know are settings (`train.epochs=3`), checked by the stage that owns them."""


@app.command(context_settings=SETTINGS)
def pipeline(
    context: typer.Context,
    recipe: Recipe = "",
    data: Data = "",
    out: Out = "skylift-out",
    name: Annotated[str, typer.Option(help="Name of the released model; empty: recipe and data set.")] = "",
    nproc: Nproc = 2,
    workers: Workers = 2,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Quality to keep: 0.99 = 99 % of the uncompressed model's (0.01 = 1 % loss)."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight at the end.")] = 16,
    on_error: OnError = "refuse",
    label_column: LabelColumn = "",
    text_column: TextColumn = "",
    header: Header = "auto",
    image_size: ImageSize = 0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server running and print a curl line.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Do the whole job: data, train, compress, release, serve, predict. Settings: key=value, as train.epochs=3."""
    recipe, data = recipe_for(recipe, data)
    options = PipelineOptions(
        recipe=recipe,
        data=data,
        where=layout(out),
        name=name,
        nproc=nproc,
        workers=workers,
        concurrency=concurrency,
        settings=(*tolerance_setting(tolerance), *settings_of(context)),
        data_options=tuple(
            words(
                on_error=on_error,
                label_column=label_column,
                text_column=text_column,
                header=header,
                image_size=image_size,
            )
        ),
        keep=keep,
    )
    result = run_pipeline(options, progress)
    if as_json:
        print_json(result)
    else:
        Console().print(closing_table(result))


@app.command()
def data(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="digits, images:DIR, text:FILE or tokens:FILE.")],
    out: Out = "skylift-out",
    to: Annotated[
        str,
        typer.Option(help="s3:// or file:// URI to write the data set below, instead of --out."),
    ] = "",
    on_error: OnError = "refuse",
    label_column: LabelColumn = "",
    text_column: TextColumn = "",
    header: Header = "auto",
    image_size: ImageSize = 0,
    block: Annotated[int, typer.Option(help="Tokens of a training block; 0: the default.")] = 0,
    vocabulary: Annotated[int, typer.Option(help="Tokens of the tokenizer; 0: fits the data.")] = 0,
) -> None:
    """Turn a source into shards: compressed, hashed, split into train, validation and test.

    The `uri` that it prints is what `--data` takes, and in the cloud the setting `data`.
    """
    if not parse_data(source).source:
        raise InputError(
            f"source must be digits, images:DIR, text:FILE or tokens:FILE, got ready shards `{source}`"
        )
    chosen = words(
        on_error=on_error,
        label_column=label_column,
        text_column=text_column,
        header=header,
        image_size=image_size,
        block=block,
        vocabulary=vocabulary,
    )
    where, environment = data_place(context, out, to)
    written = processes.run("data", stages.data_command(source, where, chosen), environment).result
    print_json(written)
    if written["uri"].startswith("s3://"):
        progress.print(f"pulumi config set data {written['uri']}", soft_wrap=True, highlight=False)


@app.command(context_settings=SETTINGS)
def train(
    context: typer.Context,
    recipe: Recipe = "",
    data: Data = "",
    out: Out = "skylift-out",
    nproc: Nproc = 2,
) -> None:
    """Train on this machine by torchrun. Settings: key=value, as train.epochs=3."""
    recipe, data = recipe_for(recipe, data)
    settings = tuple(settings_of(context))
    if compression := split_settings(settings)[1]:
        raise InputError(f"a setting of training must not be `{compression[0]}`; give it to skylift compress")
    options = PipelineOptions(recipe=recipe, data=data, where=layout(out), nproc=nproc, settings=settings)
    story = Story(progress)
    story.run("check", stages.check_command(recipe, list(settings)))
    print_json(train_stage(story, options, prepare(story, options)))


@app.command(context_settings=SETTINGS)
def compress(
    context: typer.Context,
    run: Annotated[str, typer.Option(help="URI of the run folder, as `skylift train` printed it.")],
    name: Name = "",
) -> None:
    """Make a trained run smaller, behind the gate. Settings: compress.tolerance=0.99 and others."""
    others, settings = split_settings(settings_of(context))
    if others:
        raise InputError(
            f"a setting of compression must begin with compress., got `{others[0]}`; train again with it"
        )
    print_json(processes.run("compress", stages.compress_command(run, name, settings)).result)


for command in (releases.release, releases.promote, releases.abort, releases.releases, releases.rollback):
    app.command()(command)


@app.command(context_settings=SETTINGS)
def serve(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="The model's name.")],
    out: Out = "skylift-out",
    workers: Workers = 2,
) -> None:
    """Serve a model's current release, and each that follows it, until Ctrl-C.

    More options, as `python -m serve_config.node --help` tells: --host, --port, --metrics-port, --device, --threads,
    --batch-size, --batch-delay-ms, --max-body-bytes, --max-queue, --drain-seconds, --follow-seconds, --node-id and
    others.
    """
    require_haproxy(progress)
    options = ["--workers", str(workers), "--state", str(layout(out).local / "serve"), *context.args]
    child = processes.start(stages.serve_command(layout(out), name, options))
    try:
        print_json(processes.first_json(child, "serve"))
        if code := child.wait():
            raise StageFailedError("serve", 2 if code == 2 else 1)
    finally:
        processes.stop(child)


app.command()(predict)
app.command()(cost)
app.command()(wheels)
app.add_typer(rehearse_command.app, name="rehearse")


def main() -> None:
    """Run `skylift` and leave with 0, 2 for bad input, 1 for a failed run or 130 for Ctrl-C.

    Never with a stack trace for those.
    """
    processes.terminate_as_interrupt()
    try:
        code = app(standalone_mode=False) or 0
    except typer.TyperException as error:
        code = complain(error.format_message(), 2)
    except InputError as error:
        code = complain(str(error), 2)
    except RunFailedError as error:
        code = complain(str(error), 1)
    except StageFailedError as error:
        code = error.code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # from within a command typer returns it
        complain("interrupted; everything that was started is stopped", code)
    sys.exit(code)


def complain(message: str, code: int) -> int:
    """Print a one-line error (nothing where help was printed instead) and return the exit code."""
    if message:
        progress.print(f"error: {' '.join(message.split())}", soft_wrap=True, highlight=False, markup=False)
    return code
