"""Releases under load: a wrong golden answer, a bad signature, a new one and the way back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from infra.rehearsal.faults.fault import Fault, NotRecoveredError
from infra.rehearsal.faults.fleet import NOTHING, Fleet, watched
from infra.rehearsal.faults.forge import Forge, stranger
from infra.rehearsal.faults.scene import Scene
from infra.rehearsal.faults.served import Served, fails_nothing
from infra.rehearsal.faults.waiting import until
from infra.rehearsal.provider.properties import Value
from infra.rehearsal.sources import operator_environment

REFUSED = "refused by every node, the release before is served on; no request fails"


def forge_of(scene: Scene) -> Forge:
    """Return the served model's."""
    outputs = scene.world.outputs
    bucket = str(outputs["modelsUri"]).removeprefix("s3://").partition("/")[0]
    return Forge(
        s3=scene.client("s3"),
        kms=scene.client("kms"),
        bucket=bucket,
        name=str(scene.world.settings.model_name),
        key=str(outputs["signingKeyArn"]),
    )


def wrong_golden(scene: Scene) -> Served:
    """Publish a release, signed by the right key, that does not answer as its golden answers say."""

    def spoil(forge: Forge, files: dict[str, bytes]) -> str:
        model = json.loads(files["model.json"])
        answer = model["golden"][0]["answer"]
        answer[next(iter(answer))] = "another answer"
        return forge.release({**files, "model.json": json.dumps(model).encode()}, "forged")

    return _refused(scene, spoil, "golden answer")


def bad_signature(scene: Scene) -> Served:
    """Publish a good release that somebody else signed."""

    def spoil(forge: Forge, files: dict[str, bytes]) -> str:
        card = files["card.md"] + b"\nSigned by somebody else.\n"
        return forge.release({**files, "card.md": card}, "forged", stranger())

    return _refused(scene, spoil, "not signed by the given key")


def rollback(scene: Scene) -> Served:
    """Publish another good release, wait until it is served, and go back by `skylift rollback`."""
    forge, fleet = forge_of(scene), Fleet(scene)
    old = forge.pointer()["version"]
    files = forge.files(old)
    new = forge.release({**files, "card.md": files["card.md"] + b"\nAnother one.\n"}, "another")
    took = [0.0, 0.0]

    def act() -> None:
        begun = time.monotonic()
        forge.point(new)
        until(lambda: _all_serve(fleet, new), "new release on all nodes")
        took[0], begun = time.monotonic() - begun, time.monotonic()
        _skylift_rollback(scene, forge)
        until(lambda: _all_serve(fleet, old), "old release on all nodes")
        took[1] = time.monotonic() - begun

    served = watched(scene, act, time.monotonic)
    what = (
        f"the new one on all nodes after {took[0]:.1f} s, the old one again {took[1]:.1f} s after the command"
    )
    return Served(
        asked=served.asked,
        begun=served.whole - took[1],
        gone=served.gone,
        good=served.good,
        whole=served.whole,
        what=what,
    )


def _refused(scene: Scene, spoil: Callable[[Forge, dict[str, bytes]], str], reason: str) -> Served:
    """Point at a bad release until all nodes have refused it, then back."""
    forge, fleet = forge_of(scene), Fleet(scene)
    good = forge.pointer()["version"]
    bad = spoil(forge, forge.files(good))

    def act() -> None:
        forge.point(bad)
        try:
            until(lambda: _all_refuse(fleet, good, bad, reason), f"refusal ({reason}) by all nodes")
        finally:
            forge.point(good)
        until(lambda: _all_serve(fleet, good), "release that is served on all nodes")

    return watched(scene, act, time.monotonic, f"refused ({reason}) by {len(fleet.healthy)} nodes")


def _all_serve(fleet: Fleet, version: str) -> bool:
    said = [fleet.ready(node) for node in fleet.healthy]
    return bool(said) and all(
        one.get("ready") is True and one.get("version") == version and "refused" not in one for one in said
    )


def _all_refuse(fleet: Fleet, good: str, bad: str, reason: str) -> bool:
    said = [fleet.ready(node) for node in fleet.healthy]
    return bool(said) and all(_refuses(one, good, bad, reason) for one in said)


def _refuses(said: dict[str, Value], good: str, bad: str, reason: str) -> bool:
    refused = said.get("refused", {})
    return (
        said.get("version") == good and refused.get("version") == bad and reason in refused.get("reason", "")
    )


def _skylift_rollback(scene: Scene, forge: Forge) -> None:
    words = ["rollback", "--name", forge.name, "--models", f"s3://{forge.bucket}", "--key", forge.key]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("skylift")), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **operator_environment(scene.world.emulator)},
    )
    if done.returncode:
        raise NotRecoveredError(f"skylift rollback failed: {done.stderr.strip()}")


FAULTS = (
    Fault(
        name="wrong-golden",
        title="a release whose golden answer is wrong",
        stage="serving",
        promise=REFUSED,
        inject=wrong_golden,
        verdict=fails_nothing,
        quick=True,
    ),
    Fault(
        name="bad-signature",
        title="a release with a bad signature",
        stage="serving",
        promise=REFUSED,
        inject=bad_signature,
        verdict=fails_nothing,
        quick=True,
    ),
    Fault(
        name="rollback",
        title="a new release and a rollback under load",
        stage="serving",
        promise=NOTHING,
        inject=rollback,
        verdict=fails_nothing,
        quick=True,
    ),
)
