"""The world of a rehearsal: Linux namespaces of its own, which an ordinary user may make where the kernel lets them.

Inside, its first process is root, though of nothing but that world: network, mounts, host name and processes are its
own, and all of it ends with that process. Nothing of the machine outside is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.cli.errors import InputError
from infra.rehearsal import addresses

PROGRAMS = {
    "bash": "bash",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
}
"""What must be on PATH, and the package of Debian that has it."""
SBIN = ("/usr/sbin", "/sbin")
"""Where some of them lie; not on every user's PATH."""
SYSCTLS = {
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),  # Ubuntu since 24.04
    "kernel/unprivileged_userns_clone": ("0", "1"),  # Debian before 11
    "user/max_user_namespaces": ("0", "15000"),
}
"""Switch below /proc/sys -> the value that forbids user namespaces, and one that allows them."""
TRIAL = (
    "mount -t tmpfs tmpfs /run && ip link set lo up && ip link add name near type veth peer name far && "
    "echo 1 >/proc/sys/net/ipv4/ip_forward"
)
"""What a world needs, tried in one of its own."""
TRIAL_S = 20
FIRST = """
"$@" <&0 &
child=$!
trap 'kill -TERM $child 2>/dev/null' TERM INT HUP
while :; do
  code=0
  wait $child || code=$?
  kill -0 $child 2>/dev/null || exit $code
done
"""
"""Process 1, which the orphans of all namespaces inside come to: bash reaps them, and nobody else would."""
NO_NAMES_ASKED = "/etc/nsswitch.conf"


def enter(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command in a world of its own; all that runs there ends with it.

    Args:
        command: runs as that world's root, who is the caller to everybody outside.
    """
    own = ["--net", "--mount", "--uts", "--ipc", "--pid"]
    life = ["--fork", "--kill-child", "--mount-proc"]
    return ["unshare", "--user", "--map-root-user", *own, *life, "--", "bash", "-c", FIRST, "world", *command]


def require_namespaces() -> None:
    """Refuse to go on where no world can be made.

    Raises:
        InputError: says in one line why, and what to do.
    """
    if reason := hindrance():
        raise InputError(reason)


def hindrance() -> str | None:
    """Return why no world can be made on this machine, in one line; None where it can."""
    path = search_path(os.environ)
    for program, package in PROGRAMS.items():
        if not shutil.which(program, path=path):
            return f"`{program}` must be on PATH, it is not; install it: apt-get install {package}"
    try:
        tried = subprocess.run(
            enter(["sh", "-c", TRIAL]),
            capture_output=True,
            text=True,
            timeout=TRIAL_S,
            check=False,
            env={**os.environ, "PATH": path},
        )
    except subprocess.TimeoutExpired:
        return f"a network of its own must be made within {TRIAL_S} s, it was not; try `unshare --user --net true`"
    if tried.returncode == 0:
        return None
    return advice(tried.stderr, Path("/proc/sys"))


def advice(said: str, sysctls: Path) -> str:
    """Return what to do where the kernel forbids a world.

    Args:
        said: of what was tried.
        sysctls: /proc/sys.
    """
    reason = (said.strip().splitlines() or ["it said nothing"])[0]
    for name, (forbids, allows) in SYSCTLS.items():
        switch = sysctls / name
        if switch.is_file() and switch.read_text().strip() == forbids:
            key = name.replace("/", ".")
            return (
                f"the kernel must let a user make namespaces, {key} is {forbids} ({reason}); "
                f"allow it: sudo sysctl -w {key}={allows}"
            )
    return (
        f"the kernel must let a user make namespaces, it does not ({reason}); "
        "in a container: start it with --privileged, or use a machine of its own"
    )


def search_path(environment: Mapping[str, str]) -> str:
    """Return PATH with the folders of administrators' programs."""
    known = environment.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*known, *(folder for folder in SBIN if folder not in known)])


def prepare() -> None:
    """Make the world habitable; its first process calls this first.

    Raises:
        subprocess.CalledProcessError: it is no world of ours, or the kernel refuses.
    """
    os.environ["PATH"] = search_path(os.environ)
    # Of its own: what says that systemd runs here must not be seen, for it does not own this machine.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    # There is nobody to ask for names: whoever asks all the same would wait 10 s for the answer.
    files = Path("/run/nsswitch.conf")
    files.write_text(without_dns(Path(NO_NAMES_ASKED).read_text() if Path(NO_NAMES_ASKED).exists() else ""))
    if Path(NO_NAMES_ASKED).exists():
        subprocess.run(["mount", "--bind", files, NO_NAMES_ASKED], check=True)
    places = (addresses.METADATA, addresses.AWS, addresses.ISSUER, addresses.BALANCER)
    commands = ["link set lo up", *(f"address add {place}/32 dev lo" for place in places)]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)


def without_dns(text: str) -> str:
    """Return a nsswitch.conf by which host names are looked up in /etc/hosts alone."""
    kept = [line for line in text.splitlines() if not line.startswith("hosts:")]
    return "\n".join([*kept, "hosts: files", ""])
