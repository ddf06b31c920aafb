"""What a rehearsal runs on: figures are worth nothing without it."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from infra.rehearsal.result import Environment

PACKAGES = {"pulumi's Python SDK": "pulumi", "pulumi-aws": "pulumi-aws", "moto": "moto", "boto3": "boto3"}
"""What is called how in the report -> its package; the nodes' own versions are in the gate's report."""


def environment(programs: Mapping[str, str]) -> Environment:
    """Return where this process runs, and with what.

    Args:
        programs: name -> what it says of its version, as `haproxy -v` prints it.
    """
    found = {name: version(said) for name, said in programs.items()}
    found |= {name: importlib.metadata.version(package) for name, package in PACKAGES.items()}
    return Environment(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cpu=cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')}, Linux {platform.release()}",
        versions={"python": platform.python_version(), **found},
    )


def said_by(command: list[str]) -> str:
    """Return what a program prints of its version; empty where it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout
    except FileNotFoundError:
        return ""


def version(said: str) -> str:
    """Return the first version number in a text; `?` where there is none."""
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found[0] if found else "?"


def cpu_name() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
