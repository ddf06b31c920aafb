"""Two publishers of one model at once, and one killed at every write: no update lost, no half release shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from model_code.release import publish, releases
from model_code.signing import ensure_key_pair, public_pem
from serve_config import store as node_store
from serve_config import verify
from serve_config.errors import InputError
from tests.faults.fault import Fault, Seen
from tests.lasting import temporary
from tests.test_release import make_run

ROOT = Path(__file__).parents[2]
NAME = "resnet-digits"
SECONDS = 120
INTERFERENCE = Path(__file__).parent / "interference"
"""Its `sitecustomize.py` stops a publisher at a write, or lets it wait there for the other one."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What publishers share."""

    models: str
    """URI of the model store."""
    keys: Path
    """Folder of the signing key."""
    runs: tuple[Path, ...]
    """Runs that the gate let through, each another release."""

    @property
    def public(self) -> bytes:
        """The key that releases are checked with."""
        return public_pem(ensure_key_pair(self.keys))


def place(folder: Path, models: str = "", runs: int = 2) -> Place:
    """Make runs and a key; the models lie below the folder unless a URI is given."""
    serve_files = folder / "serve"
    serve_files.mkdir(parents=True)
    for name in ("handler.py", "predictor.py", "model-config.yaml"):
        (serve_files / name).write_text("# x")
    golden = [{"content_type": "image/png", "body": "YQ==", "answer": {"label": "a"}}]
    facts = {"runtime": "onnxruntime", "task": "image-classification", "classes": ["a"], "golden": golden}
    made = []
    for number in range(runs):
        artifact = folder / f"artifact-{number}"
        artifact.mkdir()
        (artifact / "model.json").write_text(json.dumps(facts))
        (artifact / "model.onnx").write_bytes(bytes([number]) * 1000)
        run = make_run(folder / f"run-{number}", artifact, serve_files, f"run-{number}")
        (run / "candidates" / "prune-50" / "artifact" / "model.json").write_text(json.dumps(facts))
        made.append(run)
    ensure_key_pair(folder / "keys")
    return Place(models=models or (folder / "models").as_uri(), keys=folder / "keys", runs=tuple(made))


def publisher(where: Place, run: Path, **interference: str) -> subprocess.Popen[str]:
    """Start `python -m model_code.release publish` in a process of its own."""
    words = ["publish", "--run", str(run), "--models", where.models, "--key", str(where.keys)]
    environment = {**os.environ, "TMPDIR": temporary(), **interference}
    if interference:
        environment["PYTHONPATH"] = str(INTERFERENCE)
    return subprocess.Popen(
        [sys.executable, "-m", "model_code.release", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a publisher ended."""

    code: int
    """Its exit code; negative: the signal that killed it."""
    answer: dict[str, Any]
    """What it printed, empty where it failed."""
    said: str
    """Its stderr."""


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a publisher; one that is told says so in one line."""
    out, said = process.communicate(timeout=SECONDS)
    assert process.returncode in (0, 1, -signal.SIGKILL), f"exit {process.returncode}: {said}"
    if process.returncode == 1:
        assert re.fullmatch(r"error: another publisher moved \S+ first; .*\n", said), said
    answer = json.loads(out) if process.returncode == 0 else {}
    return Ended(code=process.returncode, answer=answer, said=said)


def served(where: Place) -> tuple[str, int]:
    """Return version and counter that a node would take now, everything about them proven."""
    public: Any = load_pem_public_key(where.public)
    pointer = verify.read_pointer(where.models, NAME, public, 0)
    with tempfile.TemporaryDirectory() as folder:
        return verify.fetch_release(
            where.models, pointer, public, Path(folder) / "x"
        ).version, pointer.counter


def history(where: Place) -> dict[str, Any]:
    """Return the pointer's fields."""
    signed = json.loads(node_store.read(node_store.join(where.models, NAME, "current.json")))
    pointer: dict[str, Any] = signed["pointer"]
    return pointer


def whole(where: Place) -> set[str]:
    """Return the versions that are shown as releases, each fetched and proven as a node does."""
    public: Any = load_pem_public_key(where.public)
    shown = {row["version"] for row in releases(where.models, where.public)}
    for version in shown:
        with tempfile.TemporaryDirectory() as folder:
            pointer = verify.Pointer(name=NAME, version=version, counter=1)
            verify.fetch_release(where.models, pointer, public, Path(folder) / "x")
    return shown


def race(where: Place, *, meet: bool, before: int, same: bool = False) -> tuple[int, int]:
    """Let two publishers run at once; return how many moved the pointer and how many were told.

    Args:
        where: what they share.
        meet: whether each waits, with its release written and the pointer read, until the other is there, too.
        before: changes of the pointer so far.
        same: whether both publish the same release.
    """
    old = history(where) if before else None
    with tempfile.TemporaryDirectory() as meeting:
        interference = {"SKYLIFT_MEET": meeting} if meet else {}
        runs = (where.runs[-1], where.runs[-1] if same else where.runs[-2])
        both = [publisher(where, run, **interference) for run in runs]
        done = [ended(one) for one in both]
    winners = [one.answer for one in done if one.code == 0]
    told = [one for one in done if one.code == 1]
    assert len(winners) >= 1, f"nobody won: {[one.said for one in done]}"
    now, shown = history(where), whole(where)
    versions = {one["version"] for one in winners}
    assert now["version"] in versions
    assert len(shown) >= (1 if same else 2), "the release of the one who was told is whole, too"
    changes = 1 if same else len(winners)
    assert now["counter"] == before + changes, f"{now['counter']} after {before} and {changes} changes"
    chain = [now["version"], *now["previous"]]
    assert set(chain) >= versions, "no version that was served is forgotten"
    if old is not None:
        known = [old["version"], *old["previous"]]
        assert chain[changes : changes + len(known)] == known, "what was served before stays in its order"
    assert sorted(one["counter"] for one in winners)[-1] == now["counter"]
    assert served(where) == (now["version"], now["counter"])
    if meet and not same:
        assert len(told) == 1, "of two that meet at the pointer one is told"
    return len(winners), len(told)


def killed_at_every_write(folder: Path, models: str = "", *, since: int = 0) -> tuple[int, float]:
    """Kill a publisher before its first, second, … write, until one is left alive; return kills and recovery time."""
    kills, slowest = since, 0.0
    while True:
        where = place(folder / f"{kills}", models and f"{models}/{kills}")
        old, _ = publish(str(where.runs[0]), where.models, ensure_key_pair(where.keys))
        end = ended(publisher(where, where.runs[1], SKYLIFT_KILL_AT=str(kills)))
        if end.code == 0:
            assert kills >= 8, f"only {kills} writes were counted"
            return kills, slowest
        assert end.code == -signal.SIGKILL, end
        shown = whole(where)
        assert old.version in shown
        assert served(where)[0] in shown
        if served(where)[1] == 1:
            assert served(where)[0] == old.version
        begun = time.monotonic()
        new, pointer = publish(str(where.runs[1]), where.models, ensure_key_pair(where.keys))
        slowest = max(slowest, time.monotonic() - begun)
        assert served(where) == (new.version, 2)
        assert pointer.previous == (old.version,)
        assert whole(where) == {old.version, new.version}
        shutil.rmtree(folder / f"{kills}")
        kills += 1


def first_release_killed(folder: Path) -> int:
    """Kill the publisher of a model's very first release at every write; return the kills."""
    kills = 0
    while True:
        where = place(folder / f"{kills}", runs=1)
        end = ended(publisher(where, where.runs[0], SKYLIFT_KILL_AT=str(kills)))
        if end.code == 0:
            return kills
        assert whole(where) <= {row["version"] for row in releases(where.models, where.public)}
        try:
            taken: str | None = served(where)[0]
        except InputError:  # no pointer yet: the model is not there
            taken = None
        release, pointer = publish(str(where.runs[0]), where.models, ensure_key_pair(where.keys))
        assert taken in (None, release.version)
        assert (served(where), pointer.previous) == ((release.version, 1), ())
        kills += 1


def _different(folder: Path) -> Seen:
    where = place(folder, runs=3)
    publish(str(where.runs[0]), where.models, ensure_key_pair(where.keys))
    won, told = race(where, meet=True, before=1)
    return Seen(what=f"{won} moved the pointer, {told} told in one line; counter and history right")


def _unmet(folder: Path) -> Seen:
    where = place(folder)
    won, told = race(where, meet=False, before=0)
    return Seen(what=f"{won} moved the pointer, {told} told; no update lost")


def _same(folder: Path) -> Seen:
    where = place(folder, runs=1)
    won, told = race(where, meet=True, before=0, same=True)
    return Seen(what=f"{won} ended well, {told} told; one release, one change")


def _every_write(folder: Path) -> Seen:
    kills, slowest = killed_at_every_write(folder)
    first = first_release_killed(folder / "very-first")
    return Seen(
        what=f"{kills + first} kills, at every write; no half release shown", recovery_seconds=slowest
    )


def _any_time(folder: Path) -> Seen:
    where = place(folder)
    old, _ = publish(str(where.runs[0]), where.models, ensure_key_pair(where.keys))
    spread = int.from_bytes(os.urandom(2), "big") / 65536
    process = publisher(where, where.runs[1])
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.3 + spread)
    process.kill()
    process.communicate(timeout=SECONDS)
    assert old.version in whole(where)
    begun = time.monotonic()
    new, _ = publish(str(where.runs[1]), where.models, ensure_key_pair(where.keys))
    seconds = time.monotonic() - begun
    assert served(where) == (new.version, 2)
    return Seen(what="killed at any time; publishing again completed it", recovery_seconds=seconds)


FAULTS = (
    Fault(
        name="two publishers meet at the pointer",
        promise="one wins, the other is told in one line; no update lost",
        inject=_different,
        times=10,
    ),
    Fault(
        name="two publishers start at once",
        promise="counter gap-free, history right, both releases whole",
        inject=_unmet,
        times=20,
    ),
    Fault(
        name="one release published twice at once",
        promise="one release, one change of the pointer",
        inject=_same,
        times=10,
    ),
    Fault(
        name="SIGKILL of a publisher at every write",
        promise="no half release is shown or served; publishing again completes it",
        inject=_every_write,
        times=3,
    ),
    Fault(
        name="SIGKILL of a publisher at any time",
        promise="no half release is shown or served; publishing again completes it",
        inject=_any_time,
        times=20,
        quick=False,
    ),
)
