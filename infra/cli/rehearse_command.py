"""`skylift rehearse`: the whole deployment on this machine, and what is asked of one that is up."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console
from typer.core import TyperGroup

from infra.cli import processes, stages
from infra.cli.errors import InputError, RunFailedError
from infra.cli.haproxy import require_haproxy
from infra.cli.options import Data, Json, Recipe
from infra.cli.output import progress
from infra.cli.settings import settings_of
from infra.cli.sources import parse_data, recipe_for
from infra.cli.stack_file import stack_settings

if TYPE_CHECKING:
    from infra.rehearsal.folder import Folder
    from infra.rehearsal.plan import Plan

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The words that a command does not know are settings of the training (`train.epochs=3`)."""
RUN = "run"
"""The command that is meant where none is named."""
LOOK_SECONDS = 0.3
"""Between two looks at a log that is followed."""
Where = Annotated[str, typer.Option("--out", help="Folder of the rehearsal.")]
DEFAULT_FOLDER = "skylift-out/rehearsal"


class Rehearse(TyperGroup):
    """Commands of which one is meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own type is not public
        """Put it before words that name none."""
        return super().parse_args(ctx, args if args and args[0] in self.commands else [RUN, *args])


app = typer.Typer(cls=Rehearse, add_completion=False, pretty_exceptions_enable=False)


@app.command(RUN, context_settings=SETTINGS, hidden=True)
def run(
    context: typer.Context,
    recipe: Recipe = "",
    data: Data = "",
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config", "-c", help="Setting of the stack, as trainNodes=3; may be given many times."
        ),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="What is to go wrong, by name; may be given many times.")
    ] = None,
    out: Where = DEFAULT_FOLDER,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it up at the end and say how to call it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rehearse the whole deployment on this machine, on an emulated AWS, and destroy it again.

    The Pulumi program, its roles, boot scripts and nodes are those that go to AWS. Settings of the training: key=value,
    as train.epochs=3. Of a rehearsal that is up: skylift rehearse status | logs NODE | down.

    Ctrl-C destroys what is there, a second one ends it at once. Exit code: 0 all held, 1 something did not,
    2 bad input, 130 interrupted.
    """
    context.info_name = "rehearse"  # what messages call it
    from infra.rehearsal import detached  # Pulumi takes a second to load: only who rehearses pays it
    from infra.rehearsal.engine import require_engine
    from infra.rehearsal.folder import folder_at
    from infra.rehearsal.machines.namespaces import require_namespaces

    folder = folder_at(out)
    asked = plan(recipe, data, settings_of(context), config or [], fault or [], keep=keep)
    require_namespaces()
    require_haproxy(progress)
    from dataclasses import replace

    asked = replace(asked, engine=str(require_engine(progress)))
    world = detached.start(asked, folder, progress)
    if detached.watch(world, folder, progress):
        conclude(folder, as_json=as_json)
        return
    if folder.result.exists():
        show(folder, as_json=as_json)
    raise KeyboardInterrupt


def plan(
    recipe: str,
    data: str,
    settings: Sequence[str],
    config: Sequence[str],
    faults: Sequence[str],
    *,
    keep: bool,
) -> Plan:
    """Return what is asked for, held to all rules that need no machine.

    Raises:
        InputError: a setting, a source or a name that the rehearsal would fail by.
    """
    from infra.constraints import check
    from infra.rehearsal.faults import trials
    from infra.rehearsal.plan import SOURCE_BUCKET, STACK, Plan

    given = {**trials.settings(faults), **stack_words(config)}
    recipe, data = recipe_for(
        recipe or str(given.get("skylift:recipe", "")), data or str(given.get("skylift:data", ""))
    )
    source = parse_data(data)
    local = source.shards or (source.source if source.source != "digits" else "")
    if local.startswith("s3:") or "s3://" in local:
        raise InputError(
            f"--data must lie on this machine, got `{data}`; the rehearsal reaches no real bucket"
        )
    changed = {
        **given,
        "skylift:recipe": recipe,
        "skylift:data": f"s3://{SOURCE_BUCKET}/data" if local else data,
        "skylift:settings": [*given.get("skylift:settings", []), *settings],
    }
    wanted = stack_settings(STACK, changed=changed)
    if refused := check(wanted, None):
        raise InputError(refused[0])
    processes.run("check", stages.check_command(wanted.recipe, list(wanted.settings)))
    shards = source.shards.removeprefix("file://")
    return Plan(
        engine="",
        config=changed,
        source=source.source if local and not shards else "",
        shards=str(Path(shards).absolute()) if shards else "",
        faults=tuple(faults),
        keep=keep,
    )


def stack_words(words: Sequence[str]) -> dict[str, Any]:
    """Return `trainNodes=3` as the stack's file has it: by its full key, a number as a number.

    Raises:
        InputError: a word without a value.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"--config must be KEY=VALUE, got `{word}`; for example --config trainNodes=3")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            read = value
        found[key if ":" in key else f"skylift:{key}"] = value if read is None else read
    return found


def conclude(folder: Folder, *, as_json: bool) -> None:
    """Print what came out.

    Raises:
        RunFailedError: it failed; why, in one line.
    """
    if not folder.result.exists():
        raise RunFailedError(last_words(folder))
    outcome = show(folder, as_json=as_json)
    facts = folder.written()
    if facts.get("kept") and not facts.get("over"):
        words = (f"still up; call it: {facts['call']}", f"end it: skylift rehearse down --out {folder.path}")
        for line in words:
            progress.print(line, soft_wrap=True, highlight=False, markup=False)
    if outcome:
        raise RunFailedError(outcome)


def show(folder: Folder, *, as_json: bool) -> str:
    """Print the result of a rehearsal, and return why it failed; empty: it did not."""
    from infra.rehearsal.closing import table
    from infra.rehearsal.result import from_json

    content = folder.result.read_bytes()
    result = from_json(content)
    if as_json:
        sys.stdout.write(content.decode())
    else:
        Console().print(table(result))
        progress.print(f"report: {folder.report}", soft_wrap=True, highlight=False)
    return result.outcome


def told(folder: Folder) -> list[str]:
    """Return why a rehearsal ended without a result, as far as it said so itself."""
    from infra.rehearsal.story import read

    events, _ = read(folder.events)
    return [str(one.facts["failed"]) for one in events if "failed" in one.facts]


def last_words(folder: Folder) -> str:
    """Return why a rehearsal ended without a result."""
    log = folder.log.read_text(errors="replace").strip().splitlines() if folder.log.exists() else []
    said = (told(folder) or log or ["it was killed"])[-1]
    return f"the rehearsal ended before it was over: {said} (its log: {folder.log})"


@app.command()
def status(out: Where = DEFAULT_FOLDER) -> None:
    """Say how a rehearsal stands: stages, nodes, loss, requests."""
    from infra.rehearsal.folder import folder_at, is_up
    from infra.rehearsal.scene import seen
    from infra.rehearsal.story import read
    from infra.rehearsal.view import Picture

    folder = folder_at(out)
    events, _ = read(folder.events)
    if not events:
        raise InputError(
            f"--out must be the folder of a rehearsal, there is none in {folder.path}; see --out"
        )
    Console().print(Picture(seen(events)))
    facts = folder.written()
    if not is_up(folder):
        Console().print("over" if facts.get("over") else "over: it did not come to its end")
    elif facts.get("kept"):
        Console().print(f"up; call it: {facts['call']}", soft_wrap=True, highlight=False, markup=False)
    else:
        Console().print("up")


@app.command()
def logs(
    node: Annotated[str, typer.Argument(help="Name or instance id, as train-1 or i-0123456789abcdef0.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on while the rehearsal is up.")] = False,
    out: Where = DEFAULT_FOLDER,
) -> None:
    """Print what a node's console says: its boot script, and its node."""
    from infra.rehearsal.folder import folder_at, is_up

    folder = folder_at(out)
    console = console_of(folder, node)
    with console.open("rb") as file:
        while True:
            up = is_up(folder)
            sys.stdout.write(file.read().decode(errors="replace"))
            sys.stdout.flush()
            if not follow or not up:
                return
            time.sleep(LOOK_SECONDS)


def console_of(folder: Folder, node: str) -> Path:
    """Return a node's console.

    Raises:
        InputError: there is no such node.
    """
    from infra.rehearsal.scene import seen
    from infra.rehearsal.story import read

    nodes = seen(read(folder.events)[0]).nodes.values()
    for one in nodes:
        console = folder.nodes / one.instance / "console.log"
        if node in (one.name, one.instance) and console.exists():
            return console
    known = ", ".join(one.name for one in nodes) or "none"
    raise InputError(
        f"NODE must be a node of the rehearsal in {folder.path}, got `{node}`; there are: {known}"
    )


@app.command()
def down(out: Where = DEFAULT_FOLDER) -> None:
    """Destroy a rehearsal that is up; one that is not over yet is ended, which is no failure of this command."""
    from infra.rehearsal import detached
    from infra.rehearsal.folder import folder_at, is_up
    from infra.rehearsal.result import INTERRUPTED, from_json

    folder = folder_at(out)
    if not is_up(folder):
        progress.print(f"no rehearsal is up in {folder.path}", soft_wrap=True, highlight=False)
        return
    detached.down(folder, progress)
    outcomes = [from_json(folder.result.read_bytes()).outcome] if folder.result.exists() else told(folder)
    if INTERRUPTED in outcomes:
        progress.print("it was ended before it was over; nothing of it is up")
        return
    conclude(folder, as_json=False)
