"""The commands about releases: publish, give to a share of the servers, promote, abort, list, go back."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from infra.cli import processes, stages
from infra.cli.cloud import model_place
from infra.cli.options import Json, Key, Models, Name, Out, words
from infra.cli.output import print_json
from infra.cli.summary import megabytes, number


def release(
    context: typer.Context,
    run: Annotated[str, typer.Option(help="URI of the compressed run.")],
    out: Out = "skylift-out",
    percentage: Annotated[
        int, typer.Option(min=0, max=100, help="Share of the servers that go first; 0: all of them at once.")
    ] = 0,
    models: Models = "",
    key: Key = "",
) -> None:
    """Sign and publish what the gate let through, and point the servers at it: all, or a share of them."""
    print_json(answered("publish", context, (out, models, key), words(run=run, percentage=percentage)))


def promote(
    context: typer.Context, name: Name, out: Out = "skylift-out", models: Models = "", key: Key = ""
) -> None:
    """Give the release of an open rollout to all servers."""
    print_json(answered("promote", context, (out, models, key), words(name=name)))


def abort(
    context: typer.Context, name: Name, out: Out = "skylift-out", models: Models = "", key: Key = ""
) -> None:
    """Close an open rollout: all servers go back to the release before it."""
    print_json(answered("abort", context, (out, models, key), words(name=name)))


def releases(
    context: typer.Context,
    out: Out = "skylift-out",
    name: Name = "",
    models: Models = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """List the published releases, the served one marked `*`; while a rollout is open, each one's share of servers."""
    listed = answered("list", context, (out, models, key), words(name=name))
    if as_json:
        print_json(listed)
        return
    # A version is there to be copied: it is never cut; other words may break, but nothing of them is cut off.
    version = Column("version", no_wrap=True, min_width=16)
    name_column, made_by = (Column(title, overflow="fold") for title in ("name", "made by"))
    table = Table("", name_column, version, made_by, "quality", "size", "created", box=SIMPLE, pad_edge=False)
    for row in listed["releases"]:
        table.add_row(
            "*" if row["percentage"] == 100 else f"{row['percentage']} %" if row["percentage"] else "",
            row["name"],
            row["version"],
            row["candidate"],
            number(row["metric_name"], row["metric"]),
            megabytes(row["size_bytes"]),
            row["created"][:10],
        )
    Console().print(table)


def rollback(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="The model's name.")],
    out: Out = "skylift-out",
    version: Annotated[str, typer.Option(help="Release to go back to; empty: the one before.")] = "",
    models: Models = "",
    key: Key = "",
) -> None:
    """Point all servers at an earlier release again. An open rollout ends with it, as by `skylift abort`."""
    print_json(answered("rollback", context, (out, models, key), words(name=name, version=version)))


def answered(
    verb: str, context: typer.Context, place: tuple[str, str, str], words: list[str]
) -> dict[str, Any]:
    """Run one verb of releases where `--out`, or `--models` and `--key`, say, and return its answer."""
    where = model_place(context, *place)
    command = stages.release_command(verb, where.models, where.key, words)
    return processes.run(verb, command, where.environment).result
