"""The targets of HAProxy while it runs: added, drained, taken out by its administrator's socket, without a reload."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from infra.rehearsal.balancer import haproxy_config, target_states
from infra.rehearsal.balancer.description import Balancing, Group, Target
from infra.rehearsal.balancer.haproxy_config import OPEN
from infra.rehearsal.balancer.haproxy_process import Haproxy, HaproxyError
from infra.rehearsal.balancer.target_states import Known

State = Literal["ready", "drain"]
Health = dict[str, list[str]]
"""Instance -> state, reason and description."""


class Targets:
    """Keeps HAProxy's servers as the API says."""

    def __init__(self, haproxy: Haproxy) -> None:
        """Know of none yet.

        Args:
            haproxy: whose servers they are.
        """
        self._haproxy = haproxy
        self._states: dict[tuple[str, str], State] = {}
        self._known: dict[tuple[str, str], Known] = {}
        self._told: dict[str, Health] = {}

    def forget(self) -> None:
        """HAProxy was started anew, and has no servers."""
        self._states = {}

    def present(self, balancing: Balancing) -> Balancing:
        """Return the balancer with those targets alone that HAProxy has."""
        there = self._haproxy.servers()
        groups = {
            arn: replace(one, targets=[target for target in one.targets if (one.name, target.id) in there])
            for arn, one in balancing.groups.items()
        }
        return replace(balancing, groups=groups)

    def put(self, balancing: Balancing) -> None:
        """Add who is new, drain who is deregistered, take out who is gone, let in who is checked.

        Raises:
            HaproxyError: HAProxy is away, or does not take one.
        """
        there = self._haproxy.servers()
        wanted = set()
        for group in balancing.groups.values():
            for target in group.targets:
                wanted |= {(group.name, target.id), (group.name + OPEN, target.id)}
                row = there.get((group.name, target.id))
                if row is not None:
                    waits = target.draining or not target_states.is_checked(row)
                    self._set(group.name, target.id, "drain" if waits else "ready")
                    self._set(group.name + OPEN, target.id, "drain" if target.draining else "ready")
                elif not target.draining:
                    self._add(group, target)
        for backend, name in there.keys() - wanted:
            self._remove(backend, name)

    def health(self, balancing: Balancing) -> Iterator[tuple[Group, Health]]:
        """Yield the groups with the health of those of their targets that HAProxy has, and that do not drain."""
        there, now = self._haproxy.servers(), time.monotonic()
        for group in balancing.groups.values():
            health = {}
            for target in group.targets:
                place = group.name, target.id
                if target.draining or place not in there:
                    continue
                known = self._known.setdefault(place, Known(since=now))
                told = target_states.state(there[place], group.check, known, now)
                if told == target_states.HEALTHY:
                    self._known[place] = replace(known, proven=True)
                health[target.id] = told
            yield group, health

    def told(self, arn: str, health: Health) -> bool:
        """Return whether a group's health is another one than last time, and remember it."""
        changed = self._told.get(arn) != health
        self._told[arn] = health
        return changed

    def _add(self, group: Group, target: Target) -> None:
        """Add a target. The first check decides whether it is let in; until then it is there for emergencies."""
        place = f"{target.address}:{target.port}"
        checked, emergency = f"{group.name}/{target.id}", f"{group.name}{OPEN}/{target.id}"
        self._known[group.name, target.id] = Known(since=time.monotonic())
        self._command(
            f"add server {checked} {place} {haproxy_config.checked(group)}", "New server registered."
        )
        self._command(f"set server {checked} state drain")
        self._command(f"enable health {checked}")
        self._command(
            f"add server {emergency} {place} {haproxy_config.server(group)}".strip(), "New server registered."
        )
        self._command(f"set server {emergency} state ready")
        self._states[group.name, target.id] = "drain"
        self._states[group.name + OPEN, target.id] = "ready"

    def _set(self, backend: str, name: str, state: State) -> None:
        if self._states.get((backend, name)) != state:
            self._command(f"set server {backend}/{name} state {state}")
            self._states[backend, name] = state

    def _remove(self, backend: str, name: str) -> None:
        """End what it still has and take it out; where a session has not ended yet, the next look does."""
        server = f"{backend}/{name}"
        self._haproxy.tell(f"shutdown sessions server {server}")
        self._haproxy.tell(f"set server {server} state maint")
        self._haproxy.tell(f"del server {server}")
        self._states.pop((backend, name), None)
        self._known.pop((backend, name), None)

    def _command(self, command: str, expected: str = "") -> None:
        said = self._haproxy.tell(command).strip()
        if said != expected:
            raise HaproxyError(f"haproxy must take `{command}`, said `{said}`")
