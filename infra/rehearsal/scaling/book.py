"""What is known of a group beside what moto keeps: its refreshes, its warm-up, what it launched from before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from moto.autoscaling.models import FakeAutoScalingGroup


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a group launches from: a template's version, or a policy with one."""

    template: dict[str, Any] | None
    """As in a call: `LaunchTemplateId` or `LaunchTemplateName`, `Version`; None: the policy tells."""
    policy: dict[str, Any] | None
    """The mixed instances policy, or None."""

    @property
    def specification(self) -> dict[str, Any]:
        """The template and its version, wherever they stand; empty: a launch configuration."""
        if self.policy:
            return dict(self.policy["LaunchTemplate"]["LaunchTemplateSpecification"])
        return dict(self.template or {})


@dataclass(kw_only=True)
class Refresh:
    """An instance refresh; AWS's words for its fields are put together in `refresh.described`."""

    id: str
    """Its id."""
    began: float
    """Seconds since 1970."""
    preferences: dict[str, Any]
    """As they were given."""
    desired: Source
    """What every node shall be launched from."""
    before: Source
    """What a rollback brings back."""
    status: str = "Pending"
    """AWS's words, from Pending to Successful."""
    reason: str = ""
    """Why it is as it is."""
    total: int = 0
    """Nodes that were to be replaced when it began."""
    left: int = 0
    """Nodes that are still to be."""
    ended: float | None = None
    """Seconds since 1970."""


@dataclass(kw_only=True)
class Record:
    """One group's."""

    warmup: float | None = None
    """Seconds of AWS's until a new node counts as ready; None: the group does not say."""
    extra: int = 0
    """Nodes that a refresh wants above the group's size."""
    before: Source | None = None
    """What the group launched from until it was told otherwise."""
    refreshes: list[Refresh] = field(default_factory=list)
    """Oldest first."""
    scaled: dict[str, float] = field(default_factory=dict)
    """Policy -> when it last changed the size, seconds since 1970."""
    refused: tuple[str, float] = ("", 0.0)
    """Why a node could not be launched, and when that was told."""


_RECORDS: WeakKeyDictionary[FakeAutoScalingGroup, Record] = WeakKeyDictionary()


def record_of(group: FakeAutoScalingGroup) -> Record:
    """Return what is known of a group."""
    return _RECORDS.setdefault(group, Record())


def source_of(group: FakeAutoScalingGroup) -> Source:
    """Return what a group launches from now."""
    policy = group.mixed_instances_policy or None
    if policy is not None or group.ec2_launch_template is None:
        return Source(template=None, policy=policy)
    template = {"LaunchTemplateId": group.ec2_launch_template.id, "Version": group.launch_template_version}
    return Source(template=template, policy=None)
