"""Runs what the emulated account says should run: for every instance of EC2 a machine, and none beyond those."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import MappingProxyType

from botocore.exceptions import BotoCoreError, ClientError

from infra.rehearsal.emulator import Emulator, EmulatorError
from infra.rehearsal.machines.cores import share
from infra.rehearsal.machines.image import Image
from infra.rehearsal.machines.instances import Instance, Instances
from infra.rehearsal.machines.machine import Machine, MachineError
from infra.rehearsal.machines.metadata import Metadata
from infra.rehearsal.machines.network import Network
from infra.rehearsal.story import Story

LOOK_S = 0.5
"""Between two looks at the account."""
GRACE_S = 30.0
"""What a terminated machine has to shut down."""
CHECKS_S = 5.0
"""After which a machine without power fails its status checks; on AWS that takes 2 of them, a minute apart."""


class Runner:
    """Starts and ends machines."""

    def __init__(
        self,
        emulator: Emulator,
        network: Network,
        metadata: Metadata,
        image: Image,
        folder: Path,
        story: Story,
        *,
        region: str = "eu-central-1",
        grace_s: float = GRACE_S,
        checks_s: float = CHECKS_S,
    ) -> None:
        """Take what machines are made of; `start` begins to look.

        Args:
            emulator: the account.
            network: what machines are on.
            metadata: their service.
            image: what they boot from.
            folder: a folder in it, by instance id, is kept of each machine.
            story: is told what becomes of them.
            region: AWS region.
            grace_s: seconds that a terminated machine has to shut down.
            checks_s: see CHECKS_S.
        """
        self._emulator, self._account = emulator, Instances(emulator, region)
        self._network, self._metadata, self._image = network, metadata, image
        self._folder, self._story = folder, story
        self._grace_s, self._checks_s = grace_s, checks_s
        self._machines: dict[str, Machine] = {}
        self._states: dict[str, str] = {}
        self._ends: dict[str, float] = {}
        self._down: dict[str, float] = {}
        self._boots: dict[str, Future[None]] = {}
        self._sharing: set[str] = set()
        self._reported: set[str] = set()
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._work = ThreadPoolExecutor(8, thread_name_prefix="machine")
        self._thread = threading.Thread(target=self._watch, name="runner", daemon=True)

    @property
    def machines(self) -> Mapping[str, Machine]:
        """All that are there, by instance id, those that boot or shut down as well."""
        with self._lock:
            return MappingProxyType(dict(self._machines))

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and cut the power of all machines."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        for machine in self.machines.values():
            machine.vanish()
        self._work.shutdown()

    def interrupt(self, instance_id: str, seconds: float = 120.0) -> None:
        """Take a spot instance back, as EC2 does: it is told so, and is terminated.

        Args:
            instance_id: EC2's.
            seconds: between the two.
        """
        self._metadata.spot_notice(instance_id, seconds)
        with self._lock:
            self._ends[instance_id] = time.monotonic() + seconds
        self._story.tell("note", f"EC2 takes {instance_id} back in {seconds:.0f} s", where=instance_id)

    def _watch(self) -> None:
        said = ""
        while not self._over.wait(LOOK_S):
            try:
                self._look()
                said = ""
            except (BotoCoreError, ClientError, EmulatorError) as error:
                if said != str(error):  # told once; looked at again all along
                    said = str(error)
                    self._story.tell("note", f"the runner cannot see the account: {error}")

    def _look(self) -> None:
        wanted = self._account.running()
        with self._lock:
            for instance_id, instance in wanted.items():
                self._metadata.know(instance.facts)
                if instance_id not in self._machines:
                    self._begin(instance)
            for instance_id in self._machines.keys() - wanted.keys():
                if self._states.get(instance_id) != "terminating":
                    self._tell(instance_id, "terminating")
                    self._work.submit(self._end, instance_id)
            here = dict(self._machines)
        if here.keys() != self._reported:  # a group keeps what still shuts down
            self._reported = set(here)
            self._emulator.ask("machines", here=sorted(here))
        self._share(here)
        for instance_id in wanted:
            self._care(here[instance_id])

    def _share(self, here: Mapping[str, Machine]) -> None:
        """Share the cores among those that run, when others run than before or one has just begun."""
        running = {one: machine for one, machine in here.items() if machine.alive}
        if running.keys() != self._sharing or any(self._states[one] == "booting" for one in running):
            self._sharing = set(running)
            share(running, sorted(os.sched_getaffinity(0)))

    def _care(self, machine: Machine) -> None:
        """See to one that should run: whether it does, and whether its time is up."""
        instance_id, now = machine.instance_id, time.monotonic()
        state = self._states[instance_id]
        if state == "booting" and machine.booted:
            self._tell(instance_id, "running")
        if now > self._ends.get(instance_id, now):
            del self._ends[instance_id]
            self._account.terminate(instance_id)
        elif state in ("booting", "running") and not machine.alive:
            self._tell(instance_id, "off")
            self._down[instance_id] = now + (self._checks_s if machine.cut_off else 0)
        elif now > self._down.get(instance_id, now):
            del self._down[instance_id]
            # Switched off from inside, it is terminated: its template says so. Without power it fails its checks.
            (self._account.unhealthy if machine.cut_off else self._account.terminate)(instance_id)

    def _begin(self, instance: Instance) -> None:
        facts = instance.facts
        folder = self._folder / facts.instance_id
        machine = Machine(facts.instance_id, facts.address, folder, self._image, self._network, instance.room)
        self._machines[facts.instance_id] = machine
        self._tell(facts.instance_id, "pending")
        self._boots[facts.instance_id] = self._work.submit(self._boot, machine)

    def _boot(self, machine: Machine) -> None:
        try:
            machine.boot(self._account.user_data(machine.instance_id))
        except (MachineError, BotoCoreError, ClientError) as error:
            self._story.tell("note", str(error), where=machine.instance_id)
        with self._lock:
            if self._states[machine.instance_id] == "pending":  # else it is to go already
                self._tell(machine.instance_id, "booting")

    def _end(self, instance_id: str) -> None:
        wait([self._boots[instance_id]])
        machine = self._machines[instance_id]
        machine.stop(self._grace_s)
        self._metadata.forget(machine.address)
        self._tell(instance_id, "gone")
        with self._lock:
            del self._machines[instance_id]
            for kept in (self._states, self._ends, self._down, self._boots):
                kept.pop(instance_id, None)

    def _tell(self, instance_id: str, state: str) -> None:
        machine = self._machines[instance_id]
        self._states[instance_id] = state
        room = machine.room or "an instance"
        self._story.tell(
            "node",
            f"{room} {machine.address} is {state}",
            where=instance_id,
            instance=instance_id,
            room=machine.room,
            state=state,
            address=machine.address,
        )
