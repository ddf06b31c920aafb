"""The commands about releases: publish, give to a share of the servers, promote, abort, list, go back."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from infra.cli import processes, stages
from infra.cli.layout import layout
from infra.cli.options import Json, Name, Out, words
from infra.cli.output import print_json
from infra.cli.summary import megabytes, number


def release(
    run: Annotated[str, typer.Option(help="URI of the compressed run.")],
    out: Out = "skylift-out",
    percentage: Annotated[
        int, typer.Option(min=0, max=100, help="Share of the servers that go first; 0: all of them at once.")
    ] = 0,
) -> None:
    """Sign and publish what the gate let through, and point the servers at it: all, or a share of them."""
    command = stages.release_command("publish", layout(out), words(run=run, percentage=percentage))
    print_json(processes.run("release", command).result)


def promote(name: Name, out: Out = "skylift-out") -> None:
    """Give the release of an open rollout to all servers."""
    command = stages.release_command("promote", layout(out), words(name=name))
    print_json(processes.run("promote", command).result)


def abort(name: Name, out: Out = "skylift-out") -> None:
    """Close an open rollout: all servers go back to the release before it."""
    command = stages.release_command("abort", layout(out), words(name=name))
    print_json(processes.run("abort", command).result)


def releases(out: Out = "skylift-out", name: Name = "", as_json: Json = False) -> None:
    """List the published releases, the served one marked `*`; while a rollout is open, each one's share of servers."""
    command = stages.release_command("list", layout(out), words(name=name))
    listed = processes.run("releases", command).result
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
    name: Annotated[str, typer.Option(help="The model's name.")],
    out: Out = "skylift-out",
    version: Annotated[str, typer.Option(help="Release to go back to; empty: the one before.")] = "",
) -> None:
    """Point all servers at an earlier release again. An open rollout ends with it, as by `skylift abort`."""
    command = stages.release_command("rollback", layout(out), words(name=name, version=version))
    print_json(processes.run("rollback", command).result)
