"""A node of a group as moto keeps it, and what moto does not keep: its template's version, since when it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState
from moto.ec2.models.instances import Instance
from moto.ec2.models.launch_templates import LaunchTemplateVersion

PENDING, IN_SERVICE = "Pending", "InService"
WAITING, PROCEEDING = "Terminating:Wait", "Terminating:Proceed"
LEAVING = "Terminating"
"""EC2 was told, and the machine still shuts down."""
LIVING = (PENDING, IN_SERVICE)
GONE = ("shutting-down", "terminated", "stopping", "stopped")
"""States of EC2 that a group takes for dead."""


@dataclass(kw_only=True)
class Action:
    """A wait that a lifecycle hook asks for."""

    hook: str
    """The hook's name."""
    token: str
    """Names this wait, as an instance's id does."""
    timeout: float
    """Seconds of ours that each sign of life gives."""
    began: float
    """When it began, seconds since 1970."""
    until: float
    """When it is over by itself, seconds since 1970; a sign of life moves it."""
    result: str
    """CONTINUE or ABANDON, when it is over by itself: a node that terminates goes either way."""


class Node(InstanceState):
    """An instance of a group."""

    def __init__(
        self,
        instance: Instance,
        group: FakeAutoScalingGroup,
        version: LaunchTemplateVersion | None,
        at: float,
    ) -> None:
        """Take an instance that has just been launched.

        Args:
            instance: EC2's.
            group: its group.
            version: what it was launched from; None: a launch configuration.
            at: now, seconds since 1970.
        """
        super().__init__(
            instance,
            lifecycle_state=PENDING,
            protected_from_scale_in=group.new_instances_protected_from_scale_in,
        )
        self.version = version
        self.launched = at
        self.serving_since: float | None = None
        self.action: Action | None = None

    @property
    def launch_template(self) -> dict[str, Any] | None:
        """What it was launched from, as the API shows it."""
        if self.version is None:
            return None
        template = self.version.template
        return {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "Version": str(self.version.number),
        }


def nodes_of(group: FakeAutoScalingGroup, *states: str) -> list[Node]:
    """Return a group's nodes, those in some states alone where any are named, oldest first."""
    found = [one for one in list(group.instance_states) if isinstance(one, Node)]
    return [one for one in found if not states or one.lifecycle_state in states]


def living(group: FakeAutoScalingGroup) -> list[Node]:
    """Return the nodes that count for a group's size."""
    return nodes_of(group, *LIVING)


def suspended(group: FakeAutoScalingGroup, process: str) -> bool:
    """Tell whether a group was told not to do something."""
    return any(one["ProcessName"] == process for one in group.suspended_processes)
