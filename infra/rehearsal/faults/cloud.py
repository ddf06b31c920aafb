"""What AWS does wrong while nodes train: S3 refuses, is slow, tears and flips; credentials expire."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from infra.rehearsal.faults.disturbed import Disturbed, disturb, passes_over, resumes
from infra.rehearsal.faults.fault import Fault
from infra.rehearsal.faults.run import Consoles, Pulse
from infra.rehearsal.faults.scene import Scene
from infra.rehearsal.faults.training import RESUMES
from infra.rehearsal.faults.waiting import pause, until

AWAY_SECONDS = 30.0
"""How long S3 refuses or is slow, and credentials are no good."""
SLOW_SECONDS = 5.0
"""What every answer of a slow S3 takes longer."""
CUTS = 3
"""Uploads of a checkpoint that are cut."""
TENSORS = r"/checkpoints/step-\d+/[^/]+\.safetensors$"


def s3_refuses(scene: Scene) -> Disturbed:
    """S3 answers 503 to all nodes for half a minute."""
    return _harmed(scene, harm="refuse", service="s3", status=503, code="SlowDown")


def s3_slow(scene: Scene) -> Disturbed:
    """Every answer of S3 takes 5 s longer for half a minute."""
    return _harmed(scene, harm="slow", service="s3", delay_seconds=SLOW_SECONDS)


def credentials_expired(scene: Scene) -> Disturbed:
    """The metadata hands out keys that have ended, and AWS refuses all keys of nodes, for half a minute."""
    return _harmed(
        scene,
        lambda: scene.world.metadata.expire_credentials(AWAY_SECONDS),
        harm="refuse",
        status=400,
        code="ExpiredToken",
    )


def torn_upload(scene: Scene) -> Disturbed:
    """Cut uploads of a checkpoint and store half of one; then leave half of a complete one's file, and a node vanishes.

    What the trainers upload cannot stay torn: they see it and upload it again, or say that nothing was saved. So the
    store itself loses the half.
    """
    victim, run = scene.run.trainers[-1], scene.run

    def harm(_: Pulse) -> None:
        scene.ask("interfere", name="cut", harm="reset", service="s3", action="PUT", path=TENSORS, times=CUTS)
        until(lambda: scene.ask("harmed")["cut"] == CUTS, f"{CUTS} cut uploads")
        scene.ask("interfere", name="tear", harm="tear", service="s3", action="PUT", path=TENSORS, times=1)
        until(lambda: scene.ask("harmed")["tear"], "torn upload")
        run.await_step(run.newest + 1)
        _change_newest(scene, lambda content: content[: len(content) // 2])
        scene.machine(victim).vanish()

    def look(_: Consoles, found: Disturbed) -> Disturbed:
        scene.ask("calm")
        return replace(found, what=f"{CUTS} uploads cut, one torn")

    return disturb(scene, harm, look=look)


def flipped_byte(scene: Scene) -> Disturbed:
    """Flip a byte in the newest checkpoint; then a node vanishes."""
    victim = scene.run.trainers[-1]

    def flipped(content: bytes) -> bytes:
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]

    def harm(_: Pulse) -> None:
        _change_newest(scene, flipped)
        scene.machine(victim).vanish()

    return disturb(scene, harm)


def _change_newest(scene: Scene, change: Callable[[bytes], bytes]) -> None:
    """Change a file of tensors of the newest complete checkpoint where it lies."""
    s3, run = scene.client("s3"), scene.run
    name = run.files_of(run.newest)[0]
    content = s3.get_object(Bucket=run.bucket, Key=name)["Body"].read()
    s3.put_object(Bucket=run.bucket, Key=name, Body=change(content))


def _harmed(scene: Scene, more: Callable[[], object] = lambda: None, /, **rule: object) -> Disturbed:
    def over(_: Consoles) -> None:
        pause(AWAY_SECONDS)

    def look(_: Consoles, found: Disturbed) -> Disturbed:
        requests = scene.ask("calm")["away"]
        wrong = "" if requests else "no request was harmed"
        after = time.monotonic() - begun - AWAY_SECONDS
        what = f"{requests} requests harmed; the next checkpoint {after:.0f} s after the end of it"
        return replace(found, what=what, wrong=wrong)

    begun = time.monotonic()

    def harm(_: object) -> None:
        nonlocal begun
        begun = time.monotonic()
        more()
        scene.ask("interfere", name="away", seconds=AWAY_SECONDS, **rule)

    return disturb(scene, harm, interrupts=False, over=over, look=look)


FAULTS = (
    Fault(
        name="s3-refuses",
        title="S3 answers 503 for 30 s",
        stage="training",
        promise=RESUMES,
        inject=s3_refuses,
        verdict=resumes,
        steps=240,
    ),
    Fault(
        name="s3-slow",
        title="every answer of S3 takes 5 s longer for 30 s",
        stage="training",
        promise=RESUMES,
        inject=s3_slow,
        verdict=resumes,
        steps=240,
    ),
    Fault(
        name="torn-upload",
        title="uploads of checkpoints torn, then a node killed",
        stage="training",
        promise="what is torn is passed over, said; the checkpoint before it is used",
        inject=torn_upload,
        verdict=passes_over,
        steps=240,
    ),
    Fault(
        name="flipped-byte",
        title="a byte of the newest checkpoint flipped, then a node killed",
        stage="training",
        promise="passed over, said; the checkpoint before it is used",
        inject=flipped_byte,
        verdict=passes_over,
        steps=120,
    ),
    Fault(
        name="credentials-expired",
        title="credentials expired for 30 s",
        stage="training",
        promise=RESUMES,
        inject=credentials_expired,
        verdict=resumes,
        steps=240,
    ),
)
