"""One stack on the real engine: the repository's program, run by the Automation API against an endpoint of AWS's API.

Everything of Pulumi's (state, its home, the copied settings) lies in one folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi.automation as auto
import yaml
from pulumi.automation.events import EngineEvent, OpType

from infra.rehearsal.emulator import Emulator

ROOT = Path(__file__).parents[2]
PROJECT_ONLY = ("main", "stackConfigDir", "runtime", "template")
"""Of Pulumi.yaml: how the CLI finds the program, which is given to it here instead."""
QUIET = {OpType.SAME, OpType.READ, OpType.REFRESH}
PARTS_OF_REPLACE = {OpType.CREATE_REPLACEMENT, OpType.DELETE_REPLACED}


def wiring() -> None:
    """Describe the stack as `pulumi up` does. Importing it is a part of what a preview takes, so it is done here."""
    from infra.program import program

    program()


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What the engine did, or would do."""

    order: list[tuple[str, str]] = field(default_factory=list)
    """(operation, logical name) of every step that changes something, in the engine's order."""
    types: dict[str, str] = field(default_factory=dict)
    """Logical name -> type token, of every resource that the engine spoke of."""
    output: list[str] = field(default_factory=list)
    """What the engine printed."""

    def changes(self) -> dict[str, set[str]]:
        """Return the logical names by `create`, `update`, `replace`, `delete`."""
        found: dict[str, set[str]] = {}
        for operation, name in self.order:
            if operation not in {part.value for part in PARTS_OF_REPLACE}:
                found.setdefault(operation, set()).add(name)
        return found


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A stack and where it lives."""

    stack: auto.Stack
    """The Automation API's."""
    folder: Path
    """State, Pulumi's home, settings."""
    program: Callable[[], None] = wiring
    """What describes it."""

    def preview(self, settings: Mapping[str, object] | None = None, *, refresh: bool = False) -> Steps:
        """Return what `up` would do under changed settings, which are taken back."""
        steps = Steps()
        with self._changed(settings or {}):
            self.stack.preview(
                program=self.program, refresh=refresh, on_event=_hear(steps), on_output=steps.output.append
            )
        return steps

    def up(self, settings: Mapping[str, object] | None = None, *, refresh: bool = False) -> Steps:
        """Return what `up` did under changed settings, which are taken back afterwards."""
        steps = Steps()
        with self._changed(settings or {}):
            self.stack.up(
                program=self.program, refresh=refresh, on_event=_hear(steps), on_output=steps.output.append
            )
        return steps

    def refresh(self) -> Steps:
        """Return what was found changed behind the engine's back, and is now in its state."""
        steps = Steps()
        self.stack.refresh(on_event=_hear(steps), on_output=steps.output.append)
        return steps

    def destroy(self) -> Steps:
        """Return what was deleted."""
        steps = Steps()
        self.stack.destroy(on_event=_hear(steps), on_output=steps.output.append)
        return steps

    def outputs(self) -> dict[str, object]:
        """Return the stack's exports."""
        return {name: output.value for name, output in self.stack.outputs().items()}

    def physical(self, name: str) -> str:
        """Return the id that AWS gave to the resource of a logical name."""
        (found,) = [one["id"] for one in self.resources() if one["urn"].endswith(f"::{name}") and "id" in one]
        return str(found)

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the engine's state."""
        state = self.stack.export_stack().deployment or {}
        return list(state.get("resources", []))

    @contextmanager
    def _changed(self, settings: Mapping[str, object]) -> Iterator[None]:
        """Write settings into the stack's file as `pulumi config set` would, and put the file back."""
        file = self.folder / f"Pulumi.{self.stack.name}.yaml"
        before = file.read_text()
        if settings:
            document = yaml.safe_load(before)
            document["config"].update(settings)
            file.write_text(yaml.safe_dump(document))
        try:
            yield
        finally:
            file.write_text(before)


def engine_environment(emulator: Emulator, engine: Path, folder: Path) -> dict[str, str]:
    """Return the engine's environment: it deploys to the emulated AWS by the stand-in for AWS's plugin.

    Args:
        emulator: where to.
        engine: the Pulumi CLI.
        folder: for all that the engine keeps: nothing of the user's is touched.
    """
    (folder / "state").mkdir(parents=True, exist_ok=True)
    emulated = emulator.environment()
    return {
        **emulated,
        "PATH": f"{engine.parent}{os.pathsep}{emulated['PATH']}",
        "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "not kept from anybody",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_HOME": str(folder / "home"),
    }


def deploy(
    name: str,
    folder: Path,
    environment: Mapping[str, str],
    *,
    settings: Mapping[str, object] | None = None,
    program: Callable[[], None] = wiring,
) -> Deployment:
    """Return a stack of the repository's settings that is not up yet.

    Args:
        name: of the example stack whose settings are copied, as `dev`.
        folder: an empty folder.
        environment: of the engine, see `engine_environment`.
        settings: beside the copied ones, or instead of them, by full key.
        program: what describes it.
    """
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    kept = {key: value for key, value in project.items() if key not in PROJECT_ONLY}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump({**kept, "runtime": "python"}))
    document = yaml.safe_load((ROOT / "infra" / "stacks" / f"Pulumi.{name}.yaml").read_text())
    document["config"].update(settings or {})
    (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(document))
    stack = auto.create_or_select_stack(
        stack_name=name,
        project_name="skylift",
        program=program,
        opts=auto.LocalWorkspaceOptions(work_dir=str(folder), env_vars=dict(environment)),
    )
    return Deployment(stack=stack, folder=folder, program=program)


def _hear(steps: Steps) -> Callable[[EngineEvent], None]:
    def hear(event: EngineEvent) -> None:
        if event.resource_pre_event is None:
            return
        metadata = event.resource_pre_event.metadata
        if metadata.type.startswith("pulumi:providers:"):
            return  # the engine's own, named by its version
        name = metadata.urn.rpartition("::")[2]
        steps.types[name] = metadata.type
        if metadata.op not in QUIET:
            steps.order.append((OpType(metadata.op).value, name))

    return hear
