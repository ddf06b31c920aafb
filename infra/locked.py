"""Which packages uv.lock holds for one dependency group. Pure."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from typing import Any

PROJECT = "skylift"
Need = tuple[str, tuple[str, ...]]
"""A package and the extras asked of it."""


def locked(lock: str, group: str) -> list[str]:
    """Return every package that a group brings, with version and source, sorted.

    All versions of a name count, whatever platform or Python they are for: a node's is not known here.

    Raises:
        ValueError: the lock knows no such group.
    """
    packages = _packages(lock)
    groups = packages[PROJECT][0]["dev-dependencies"] if PROJECT in packages else {}
    if group not in groups:
        raise ValueError(f"uv.lock must hold the group `{group}`, it has {sorted(groups)}; run uv lock")
    waiting, found = [_need(one) for one in groups[group]], set[Need]()
    while waiting:
        need = waiting.pop()
        if need not in found:
            found.add(need)
            for package in packages[need[0]]:
                waiting += _needs(package, need[1])
    return sorted({_spelled(package) for name, _ in found for package in packages[name]})


@functools.lru_cache(
    maxsize=1
)  # two rooms ask one after the other, and reading a megabyte takes most of a second
def _packages(lock: str) -> Mapping[str, list[Mapping[str, Any]]]:
    packages: dict[str, list[Mapping[str, Any]]] = {}
    for package in tomllib.loads(lock)["package"]:
        packages.setdefault(package["name"], []).append(package)
    return packages


def _needs(package: Mapping[str, Any], extras: tuple[str, ...]) -> list[Need]:
    optional = package.get("optional-dependencies", {})
    direct = package.get("dependencies", [])
    return [_need(one) for one in [*direct, *(one for extra in extras for one in optional.get(extra, []))]]


def _need(dependency: Mapping[str, Any]) -> Need:
    return dependency["name"], tuple(sorted(dependency.get("extra", [])))


def _spelled(package: Mapping[str, Any]) -> str:
    source = ", ".join(f"{kind}={where}" for kind, where in sorted(package["source"].items()))
    return f"{package['name']} {package.get('version', '')} {source}"
