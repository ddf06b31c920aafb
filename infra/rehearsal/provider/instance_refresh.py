"""Starts an instance refresh where the AWS plugin does: the group launches from something else than before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import botocore.exceptions

from infra.rehearsal.provider import shapes
from infra.rehearsal.provider.target import CallError, Target

SOURCES = frozenset({"launchTemplate", "mixedInstancesPolicy"})
"""Properties whose change starts one; the setting's own `triggers` are more of them."""


def start(target: Target, changed: set[str], names: Mapping[str, str]) -> None:
    """Start a refresh where one is wished for and something that nodes are launched from has changed.

    One that runs is cancelled first, as the plugin does.

    Args:
        target: the group, at an update.
        changed: names of its properties.
        names: the row's.
    """
    wished = target.inputs.get("instanceRefresh")
    if not target.before or not wished or not changed & {*SOURCES, *(wished.get("triggers") or [])}:
        return
    group = {"AutoScalingGroupName": target.inputs["name"]}
    asked = request(target, wished, names)
    try:
        target.call("start_instance_refresh", **group, **asked)
    except CallError as error:
        cause = error.__cause__
        if not (
            isinstance(cause, botocore.exceptions.ClientError)
            and cause.response["Error"]["Code"] == "InstanceRefreshInProgress"
        ):
            raise
        target.call("cancel_instance_refresh", **group)
        target.call("start_instance_refresh", **group, **asked)


def request(target: Target, wished: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return what a refresh is asked for; what to go back from is named where it shall go back by itself."""
    shape = target.shape("start_instance_refresh")
    asked = shapes.document(shape, {key: value for key, value in wished.items() if key != "triggers"}, names)
    if (asked.get("Preferences") or {}).get("AutoRollback"):
        sources = {name: target.inputs[name] for name in SOURCES if target.inputs.get(name)}
        asked["DesiredConfiguration"] = shapes.document(shape.members["DesiredConfiguration"], sources, names)
    return asked
