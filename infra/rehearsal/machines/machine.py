"""One machine of the rehearsal: an instance of EC2 is here a set of namespaces with a network, a disk and processes.

What is done to it is what happens to machines: it is stopped, it loses its power, it hangs, it is slow, its disk fills.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from infra.rehearsal.machines.image import Image, host_name
from infra.rehearsal.machines.network import Network
from infra.rehearsal.machines.processes import processes_beside, stands

SCRIPT = Path(__file__).with_name("node.sh")
NAMESPACES = ["--net", "--mount", "--uts", "--ipc", "--pid"]
BOOTED = "etc/skylift/node.env"
"""What the boot script writes just before it becomes the node."""
START_S = 30.0
"""A machine that has no disk by then has none at all."""
SIZE_TRIES = 20
"""A disk that is written to all the time may need some until it is full."""
PERIOD_S = 0.5
"""Of a slow machine's running and standing: short beside what notices."""
STAND_S, LOOK_S = 5.0, 0.002
"""How long a machine's threads may take to stand, and between two looks: one that writes stands when that is done."""


class MachineError(RuntimeError):
    """A machine did not start."""


class Machine:
    """One instance."""

    def __init__(
        self, instance_id: str, address: str, folder: Path, image: Image, network: Network, room: str = ""
    ) -> None:
        """Know it; `boot` starts it.

        Args:
            instance_id: EC2's.
            address: EC2's private one.
            folder: for what is kept of it.
            image: what it boots from.
            network: what it is on.
            room: whose work it does, `train` or `serve`.
        """
        self.instance_id, self.address, self.room = instance_id, address, room
        self.folder = folder.absolute()
        self.console = self.folder / "console.log"
        """All that its boot script and its node say."""
        self._image, self._network = image, network
        self._starter: subprocess.Popen[str] | None = None
        self._first: psutil.Process | None = None
        self._lock = threading.Lock()
        self._pace = threading.Event()
        self._pacing: threading.Thread | None = None
        self.cut_off = False
        """Whether it lost its power."""

    @property
    def alive(self) -> bool:
        """Whether it runs, or hangs: whether it has power."""
        return self._starter is not None and self._starter.poll() is None

    @property
    def booted(self) -> bool:
        """Whether its boot script is done and the node runs."""
        return (
            self.alive and self._first is not None and Path(f"/proc/{self._first.pid}/root/{BOOTED}").exists()
        )

    def boot(self, user_data: str) -> None:
        """Start it; its boot script runs when this returns.

        Args:
            user_data: a script that begins with `#!`.

        Raises:
            MachineError: it has no disk, or no network; the console says why.
        """
        (self.folder / "disk").mkdir(parents=True, exist_ok=True)
        self._image.introduce(self.address)
        self._image.share_bytecode(user_data)
        self._write(user_data)
        given = [
            f"node={self.folder}",
            f"size={self._image.disk_bytes}",
            f"name={host_name(self.address)}",
        ]
        life = ["--fork", "--kill-child", "--mount-proc"]
        with self.console.open("ab") as console:
            self._starter = subprocess.Popen(
                ["unshare", *NAMESPACES, *life, "--", "env", *given, "bash", str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=console,
                text=True,
                start_new_session=True,  # what interrupts the world's terminal is not for it
            )
        try:
            self._connect()
        except (OSError, subprocess.CalledProcessError, psutil.Error) as error:
            said = getattr(error, "stderr", "") or error
            self._end()
            raise MachineError(f"{self.instance_id} did not start: {said} (see {self.console})") from error

    def stop(self, grace: float = 30.0) -> None:
        """End it as EC2 terminates an instance: the node hears SIGTERM, and after a while there is no more power.

        Args:
            grace: seconds that it is given.
        """
        if self._starter is None:
            return
        self.full_speed()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process().send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._starter.wait(grace)
        self.vanish()

    def vanish(self) -> None:
        """Cut its power. The network goes first, so that nobody is told: no connection of it is closed."""
        with self._lock:
            if self.alive:
                self.cut_off = True
                self._network.cut(self.address)
            self._end()

    def freeze(self) -> None:
        """Let it hang: connections stay open and nothing answers."""
        # A signal that is sent is not yet heeded: on busy cores another thread answers before its process stands.
        end = time.monotonic() + STAND_S
        while time.monotonic() < end:
            self._all(signal.SIGSTOP)
            if all(stands(one.pid) for one in self.processes()):
                return
            threading.Event().wait(LOOK_S)

    def thaw(self) -> None:
        """Let it go on."""
        self._all(signal.SIGCONT)
        for (
            process
        ) in self.processes():  # nsenter, which started it, stands still as long as its command does
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(process.ppid(), signal.SIGCONT)

    def slow(self, factor: float) -> None:
        """Make it so many times slower than it would be: it stands most of the time.

        Args:
            factor: more than 1.
        """
        self.full_speed()
        self._pace.clear()
        self._pacing = threading.Thread(target=self._walk, args=(factor,), daemon=True, name="slow machine")
        self._pacing.start()

    def full_speed(self) -> None:
        """End what `slow` began."""
        if self._pacing is not None:
            self._pace.set()
            self._pacing.join()
            self._pacing = None

    def fill_disk(self) -> None:
        """Let not one byte more fit on its disk. It takes no memory: the disk becomes as small as it is full.

        Raises:
            MachineError: it is off, or the kernel refuses.
        """
        for _ in range(SIZE_TRIES):
            disk = os.statvfs(f"/proc/{self._process().pid}/root/var/lib")
            said = self._size((disk.f_blocks - disk.f_bfree) * disk.f_frsize)
            if not said:
                return  # else it was written to meanwhile: the kernel refuses what is less than is used
        raise MachineError(f"the disk of {self.instance_id} must become full, it did not: {said}")

    def free_disk(self) -> None:
        """Give its disk its size back.

        Raises:
            MachineError: it is off, or the kernel refuses.
        """
        if said := self._size(self._image.disk_bytes):
            raise MachineError(f"the disk of {self.instance_id} must get its size back, it did not: {said}")

    def processes(self) -> list[psutil.Process]:
        """Return all that run on it, none once it is off."""
        if not self.alive or self._first is None:
            return []
        return processes_beside(self._first.pid)

    def run(self, command: Sequence[str], timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command on it, in its environment, and return what came of it.

        Args:
            command: words.
            timeout: seconds.

        Raises:
            MachineError: it is off.
        """
        environment = [f"{name}={value}" for name, value in self._image.environment().items()]
        words = [*self._inside(), "env", "--ignore-environment", "--chdir=/", *environment, *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)

    def _inside(self) -> list[str]:
        if not self.alive:
            raise MachineError(f"{self.instance_id} must run, it is off")
        return ["nsenter", "--target", str(self._process().pid), *NAMESPACES, "--"]

    def _process(self) -> psutil.Process:
        if self._first is None:
            raise MachineError(f"{self.instance_id} must run, it was not started")
        return self._first

    def _write(self, user_data: str) -> None:
        environment = [f"{name}={value}" for name, value in self._image.environment().items()]
        binds = [f"{source}\t{place}" for source, place in self._image.binds()]
        for name, lines in {"environment": environment, "binds": binds, "user-data": [user_data]}.items():
            (self.folder / name).write_text("\n".join([*lines, ""]))

    def _connect(self) -> None:
        starter = self._starter
        if starter is None or starter.stdin is None or starter.stdout is None:
            raise OSError("it has no pipes to talk by")
        timer = threading.Timer(START_S, starter.kill)
        timer.start()
        said = starter.stdout.readline()  # returns when it has a disk, or when it has ended
        timer.cancel()
        if said.strip() != "up":
            raise OSError("its disk could not be put in place")
        self._first = psutil.Process(starter.pid).children()[0]
        self._network.attach(self.address, self._first.pid)
        starter.stdin.write("go\n")
        starter.stdin.close()
        starter.stdout.close()

    def _end(self) -> None:
        self._pace.set()
        if self._starter is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._first is not None:
                self._first.kill()  # and the kernel all others with it
        if self._first is None:
            self._starter.kill()
        self._starter.wait()
        self._network.detach(self.address)

    def _all(self, what: signal.Signals) -> None:
        """Send a signal to all processes; those that are born meanwhile get it in another round."""
        done: set[psutil.Process] = set()
        while new := set(self.processes()) - done:
            for process in new:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(what)
            done |= new

    def _walk(self, factor: float) -> None:
        while not self._pace.is_set():
            self.freeze()
            self._pace.wait(PERIOD_S * (1 - 1 / factor))
            self.thaw()
            self._pace.wait(PERIOD_S / factor)

    def _size(self, count: int) -> str:
        """Give its disk a size and return what was said against it."""
        # Named with its source, its other options are left alone: its owner has no number that the kernel takes here.
        words = [*self._inside(), "mount", "-o", f"remount,size={count}", "disk", "/var/lib"]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        return done.stderr.strip() if done.returncode else ""
