"""The serving nodes as an operator sees them, and what happens to them under load: killed, replaced, more and fewer."""

from __future__ import annotations

import json
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress

import psutil

from infra.rehearsal.faults.fault import Fault
from infra.rehearsal.faults.load import CONNECTIONS, Load
from infra.rehearsal.faults.scene import Scene
from infra.rehearsal.faults.served import Served, fails_in_flight, fails_nothing
from infra.rehearsal.faults.waiting import until
from infra.rehearsal.provider.properties import Value

NODES = 2
"""Of the group, before and after."""
MORE = 4
BATCH = 8
"""Requests that a worker holds at a time: the node's default."""
PORT = 8443
"""Where a serving node answers."""
IN_FLIGHT = "no request fails but those in flight on what was killed"
NOTHING = "no request fails"
TICK = 2.0
WARMUP_SECONDS = 60
"""Of a refresh: longer than a node takes to serve. The group asks EC2 alone for health, so this is all that keeps old
nodes until new ones answer: with 0 seconds, half of all requests were refused. The stack's own are 600."""


class Fleet:
    """The serving group."""

    def __init__(self, scene: Scene) -> None:
        """Take where it is."""
        self._scene = scene
        self.group = str(scene.world.outputs["serveGroup"])
        self.autoscaling = scene.client("autoscaling")
        self._balancing = scene.client("elbv2")

    @property
    def described(self) -> dict[str, Value]:
        """What Auto Scaling says of it."""
        groups = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        found: dict[str, Value] = groups["AutoScalingGroups"][0]
        return found

    @property
    def healthy(self) -> set[str]:
        """Ids of the nodes that the load balancer sends requests to."""
        (arn,) = self.described["TargetGroupARNs"]
        found = self._balancing.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return {one["Target"]["Id"] for one in found if one["TargetHealth"]["State"] == "healthy"}

    @property
    def targets(self) -> set[str]:
        """Ids of all targets, those that drain included."""
        (arn,) = self.described["TargetGroupARNs"]
        found = self._balancing.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return {one["Target"]["Id"] for one in found}

    def resize(self, nodes: int) -> None:
        """Ask for a number of nodes."""
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=self.group, DesiredCapacity=nodes)

    def await_nodes(self, nodes: int) -> float:
        """Return when so many nodes are healthy, and no other is a target.

        Raises:
            NotRecoveredError: they do not become so.
        """
        until(lambda: len(self.healthy) == nodes == len(self.targets), f"{nodes} healthy nodes alone")
        return time.monotonic()

    def processes(self, instance: str, words: str) -> list[psutil.Process]:
        """Return a node's processes whose command line holds some words."""
        found = []
        for process in self._scene.machine(instance).processes():
            with suppress(psutil.NoSuchProcess):
                if words in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def ready(self, instance: str) -> dict[str, Value]:
        """Return what a node says of its readiness; empty: it says nothing."""
        url = f"https://{self._scene.machine(instance).address}:{PORT}/ready"
        # A node makes its own certificate at boot; the balancer does not verify it either.
        context = ssl._create_unverified_context()  # noqa: S323
        try:
            with urllib.request.urlopen(url, timeout=TICK, context=context) as answer:
                body: dict[str, Value] = json.load(answer)
        except urllib.error.HTTPError as error:
            body = json.loads(error.read() or b"{}")
        except OSError:
            return {}
        return body


def node_killed(scene: Scene) -> Served:
    """Cut a serving node's power."""
    fleet, load = Fleet(scene), loaded(scene)
    victim = sorted(fleet.healthy)[0]
    begun = time.monotonic()
    scene.machine(victim).vanish()
    until(lambda: victim not in fleet.healthy, "load balancer that knows of it")
    gone = time.monotonic()
    good = load.await_good(gone)
    whole = fleet.await_nodes(NODES)
    what = f"the load balancer knew after {gone - begun:.1f} s"
    return Served(
        asked=load.since(begun), begun=begun, gone=gone, good=good, whole=whole, most=CONNECTIONS, what=what
    )


def worker_killed(scene: Scene) -> Served:
    """SIGKILL the process that computes answers on a node."""
    return _process_killed(scene, "model_service_worker", BATCH)


def server_killed(scene: Scene) -> Served:
    """SIGKILL TorchServe's Java process on a node."""
    return _process_killed(scene, "org.pytorch.serve.ModelServer", CONNECTIONS)


def instance_refresh(scene: Scene) -> Served:
    """Have all nodes replaced."""
    fleet = Fleet(scene)
    before = fleet.healthy

    def act() -> None:
        fleet.autoscaling.start_instance_refresh(
            AutoScalingGroupName=fleet.group,
            Preferences={
                "MinHealthyPercentage": 100,
                "MaxHealthyPercentage": 200,
                "InstanceWarmup": WARMUP_SECONDS,
            },
        )
        until(lambda: _refreshed(fleet), "instance refresh that succeeded")
        until(lambda: not before & fleet.targets, "target group without the old nodes")

    return watched(scene, act, lambda: fleet.await_nodes(NODES), f"{len(before)} nodes replaced")


def scale(scene: Scene) -> Served:
    """Ask for four nodes, then for two again."""
    fleet = Fleet(scene)

    def act() -> None:
        fleet.resize(MORE)
        fleet.await_nodes(MORE)
        fleet.resize(NODES)

    return watched(scene, act, lambda: fleet.await_nodes(NODES), f"{NODES} -> {MORE} -> {NODES} nodes")


def loaded(scene: Scene) -> Load:
    """Return the load on the scene."""
    if scene.load is None:
        raise TypeError("faults of serving need a load, the scene has none; report this")
    return scene.load


def watched(scene: Scene, act: Callable[[], object], whole: Callable[[], float], what: str = "") -> Served:
    """Do something under load; return what became of the requests."""
    load, begun = loaded(scene), time.monotonic()
    act()
    done = whole()
    good = load.await_good(done)
    return Served(asked=load.since(begun), begun=begun, gone=done, good=good, whole=done, what=what)


def _process_killed(scene: Scene, words: str, most: int) -> Served:
    fleet, load = Fleet(scene), loaded(scene)
    node = sorted(fleet.healthy)[0]
    before = {process.pid for process in fleet.processes(node, words)}
    begun = time.monotonic()
    victim = fleet.processes(node, words)[0]
    victim.send_signal(signal.SIGKILL)
    with suppress(psutil.TimeoutExpired):
        victim.wait(TICK)
    gone = time.monotonic()
    good = load.await_good(gone)

    def back() -> bool:
        now = {process.pid for process in fleet.processes(node, words)}
        return len(now) >= len(before) and now != before and fleet.ready(node).get("ready") is True

    until(back, f"{words} that works again")
    whole = time.monotonic()
    return Served(asked=load.since(begun), begun=begun, gone=gone, good=good, whole=whole, most=most)


def _refreshed(fleet: Fleet) -> bool:
    answer = fleet.autoscaling.describe_instance_refreshes(AutoScalingGroupName=fleet.group)
    return bool(answer["InstanceRefreshes"][0]["Status"] == "Successful")


FAULTS = (
    Fault(
        name="worker-killed",
        title="TorchServe worker killed under load",
        stage="serving",
        promise=IN_FLIGHT,
        inject=worker_killed,
        verdict=fails_in_flight,
        quick=True,
    ),
    Fault(
        name="server-killed",
        title="TorchServe's JVM killed under load",
        stage="serving",
        promise=IN_FLIGHT,
        inject=server_killed,
        verdict=fails_in_flight,
    ),
    Fault(
        name="serving-node-killed",
        title="serving node killed under load",
        stage="serving",
        promise=IN_FLIGHT,
        inject=node_killed,
        verdict=fails_in_flight,
        quick=True,
    ),
    Fault(
        name="instance-refresh",
        title="instance refresh under load",
        stage="serving",
        promise=NOTHING,
        inject=instance_refresh,
        verdict=fails_nothing,
    ),
    Fault(
        name="scale",
        title="scale 2 -> 4 -> 2 under load",
        stage="serving",
        promise=NOTHING,
        inject=scale,
        verdict=fails_nothing,
    ),
)
