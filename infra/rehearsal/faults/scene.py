"""What a fault acts on: the world, the run in it, the load on it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from infra.rehearsal.faults.load import Load
from infra.rehearsal.faults.run import Consoles, Run
from infra.rehearsal.provider.properties import Value

if TYPE_CHECKING:
    from infra.rehearsal.machines.machine import Machine
    from infra.rehearsal.world import World

SEED = 20_261_128
"""Of the moments at which harm is done."""


@dataclass(kw_only=True)
class Scene:
    """One world, for the faults of one stage."""

    world: World
    """Everything that runs."""
    load: Load | None = None
    """Asks all along, while there is something to ask."""
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311
    """Says when."""

    @cached_property
    def run(self) -> Run:
        """The training run."""
        outputs = self.world.outputs
        return Run(self.world.emulator.client("s3"), str(outputs["workUri"]), str(outputs["runId"]))

    def consoles(self) -> Consoles:
        """Return what nodes say from now on."""
        return Consoles(self.world.folder / "nodes")

    def machine(self, instance: str) -> Machine:
        """Return a node."""
        return self.world.runner.machines[instance]

    def ask(self, name: str, /, **facts: object) -> Value:
        """Ask the emulated AWS what AWS has no call for."""
        return self.world.emulator.ask(name, **facts)

    def heal(self) -> None:
        """Undo what a fault may have left: rules of the emulated AWS, machines that stand, are slow or full."""
        self.ask("calm")
        for machine in self.world.runner.machines.values():
            if machine.alive:
                machine.full_speed()
                machine.thaw()
                machine.free_disk()

    def client(self, service: str) -> Value:
        """Return the operator's client of a service."""
        return self.world.emulator.client(service)
