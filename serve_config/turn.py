"""Is it this node's turn? An open rollout goes to the nodes whose ids have the lowest hashes. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from serve_config.verify import Pointer


def place_of(node: str) -> float:
    """Return a node's place in every rollout, from 0 to below 1: the same for ever, and evenly spread."""
    return int.from_bytes(hashlib.sha256(node.encode()).digest()[:8]) / 2**64


def goes_first(node: str, percentage: int, nodes: Sequence[str] = ()) -> bool:
    """Tell whether a node belongs to the first so many per cent.

    Args:
        node: its id.
        percentage: 1 to 100.
        nodes: the ids of all nodes, this one's among them. Without them each decides by its own hash.
    """
    if not nodes:
        return place_of(node) * 100 < percentage
    first = sorted(set(nodes), key=place_of)[: math.ceil(len(set(nodes)) * percentage / 100)]
    return node in first


def wanted_version(pointer: Pointer, node: str, nodes: Sequence[str] = ()) -> str:
    """Return the version that a node should serve: the one before, where a rollout is open and not its turn."""
    if not pointer.previous or goes_first(node, pointer.percentage, nodes):
        return pointer.version
    return pointer.previous[0]


def boot_order(wanted: str, good: str, previous: Sequence[str]) -> list[str]:
    """Return what a node may start with, the best first.

    Args:
        wanted: what it should serve.
        good: what was proven here last, empty for nothing.
        previous: what the pointer names as served before: a new node has proven nothing yet.
    """
    return list(dict.fromkeys(version for version in (wanted, good, *previous[:1]) if version))
