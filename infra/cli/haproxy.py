"""HAProxy for the serving front: the one on PATH, else Debian's or Ubuntu's package when we may install it."""

from __future__ import annotations

import os
import shutil
import subprocess

from rich.console import Console

from infra.cli.errors import InputError

INSTALL = [
    ["apt-get", "update", "-q"],
    ["apt-get", "install", "-q", "-y", "--no-install-recommends", "haproxy"],
]


def require_haproxy(console: Console) -> None:
    """Return when `haproxy` can be started; install it where this user may.

    Raises:
        InputError: it is missing and cannot be installed from here.
    """
    if shutil.which("haproxy"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise InputError("haproxy must be on PATH, not found; install it: sudo apt-get install haproxy")
    console.print("haproxy is not on PATH: installing the distribution's package")
    for command in INSTALL:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise InputError(f"haproxy could not be installed ({last}); run: apt-get install haproxy")
