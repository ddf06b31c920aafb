"""The world of a rehearsal: everything that AWS would be, built in the order in which one needs the other.

It is built inside namespaces of its own; see world_main.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import platformdirs

from infra.cli.stack_file import stack_settings
from infra.rehearsal import addresses, sources
from infra.rehearsal.authority import Authority
from infra.rehearsal.balancer.balancer import Balancer
from infra.rehearsal.balancer.issuer import Issuer
from infra.rehearsal.emulator import Emulator, Place, start_emulator
from infra.rehearsal.folder import Folder, make_short
from infra.rehearsal.machines.image import make_image
from infra.rehearsal.machines.metadata import Metadata
from infra.rehearsal.machines.network import Network
from infra.rehearsal.machines.runner import Runner
from infra.rehearsal.plan import STACK, Plan
from infra.rehearsal.stack import Deployment, deploy, engine_environment
from infra.rehearsal.stages import stage
from infra.rehearsal.story import Story
from infra.settings import Settings


@dataclass(kw_only=True)
class World:
    """What there is, from the account to the door."""

    folder: Path
    """The rehearsal's."""
    files: Folder
    """What lies where in it."""
    plan: Plan
    """What was asked for."""
    story: Story
    """Where everything that happens is told."""
    authority: Authority
    """Vouches for all that is called by HTTPS, but for the load balancer, whose certificate is the program's."""
    emulator: Emulator
    """The emulated account."""
    network: Network
    """Between the nodes."""
    metadata: Metadata
    """The nodes' instance metadata."""
    runner: Runner
    """Starts a machine for every instance, and ends it."""
    issuer: Issuer
    """Of the tokens that clients show."""
    balancer: Balancer
    """The load balancer."""
    stack: Deployment
    """The repository's program."""
    settings: Settings
    """Of the stack, as the plan changed them."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """The stack's exports, once it is up."""


@contextmanager
def build_world(folder: Folder, plan: Plan, story: Story) -> Iterator[World]:
    """Build everything, and end it in the opposite order.

    Args:
        folder: for all that is written.
        plan: what was asked for.
        story: where what happens is told.
    """
    with ExitStack() as ends:
        with stage(story, "account"):
            world = _built(folder, plan, story, ends)
        yield world


def _built(folder: Folder, plan: Plan, story: Story, ends: ExitStack) -> World:
    inner = folder.inner
    loading = threading.Thread(target=import_module, args=("infra.program",), name="program")
    loading.start()  # Pulumi's package takes seconds to load, and the emulator to start
    tempfile.tempdir = str(make_short(folder))  # so that it goes, even with a killed one
    authority = Authority.make(inner / "authority")
    place = Place(address=addresses.AWS, port=443, authority=authority)
    emulator = ends.enter_context(start_emulator(inner, place=place))
    if plan.source or plan.shards:
        plan = sources.uploaded(emulator, plan)
    network = Network()
    network.start()
    metadata = Metadata(emulator)
    metadata.start()
    ends.callback(metadata.stop)
    issuer = Issuer(authority, inner / "issuer")
    issuer.start()
    ends.callback(issuer.stop)
    balancer = Balancer(emulator, inner, story)
    balancer.start()
    ends.callback(balancer.stop)
    haproxy = shutil.which("haproxy") or "haproxy"  # its being there was made sure before the world
    image = make_image(
        inner / "image",
        emulator.endpoint,
        authority.ca,
        programs={"haproxy": Path(haproxy)},
        bytecode=platformdirs.user_cache_path("skylift") / "bytecode",
    )
    runner = Runner(emulator, network, metadata, image, folder.nodes, story)
    runner.start()
    ends.callback(runner.stop)
    environment = engine_environment(emulator, Path(plan.engine), inner / "engine")
    os.environ.update(environment)  # the program runs in this process, and asks the account itself
    loading.join()
    stack = deploy(STACK, inner / "engine" / "stack", environment, settings=plan.config)
    return World(
        folder=folder.path,
        files=folder,
        plan=plan,
        story=story,
        authority=authority,
        emulator=emulator,
        network=network,
        metadata=metadata,
        runner=runner,
        issuer=issuer,
        balancer=balancer,
        stack=stack,
        settings=stack_settings(STACK, changed=plan.config),
    )
