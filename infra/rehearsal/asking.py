"""A client of the service: sends the held-out set through the load balancer, and holds it to the release's own word."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.cli import processes, stages
from infra.cli.held_out import HeldOut, read_held_out
from infra.cli.inference import Answer, send_all
from infra.cli.layout import Layout
from infra.cli.summary import serving_figures
from infra.rehearsal import addresses
from infra.rehearsal.plan import REGION
from infra.rehearsal.sources import operator_environment
from infra.rehearsal.world import World

OFFLINE = "offline.jsonl"
"""What the release itself answers to the held-out set."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What clients got."""

    figures: dict[str, Any]
    """As `skylift pipeline` says them, see `serving_figures`."""
    seconds: float
    """From the first request to the last answer."""
    latencies_ms: tuple[float, ...]
    """Of each request, in the requests' order."""


def predict_offline(world: World, shards: str) -> HeldOut:
    """Return the held-out set with what the release answers to it without any server, on this machine.

    Raises:
        StageFailedError: it could not be computed; the rehearsal's log says why.
    """
    where = Layout(root=str(world.files.inner))
    key = Path(stages.public_key(where))
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text(public_key(world))
    out = world.files.inner / OFFLINE
    release = f"{world.outputs['modelsUri']}/{model_name(world)}"
    command = stages.offline_command(where, release, shards, out)
    processes.run("predict offline", command, operator_environment(world.emulator))
    return read_held_out(out)


def public_key(world: World) -> str:
    """Return the half of the signing key that is no secret, PEM: KMS gives it to whoever may ask."""
    kms = world.emulator.client("kms", REGION)
    der = kms.get_public_key(KeyId=world.outputs["signingKeyArn"])["PublicKey"]
    text = base64.b64encode(der).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def model_name(world: World) -> str:
    """Return the name that the model has in the store and in the API."""
    return str(world.settings.model_name)


def predictions_url(world: World) -> str:
    """Return where clients send their requests."""
    return f"{world.outputs['url']}/predictions/{model_name(world)}"


def door_certificate(world: World) -> Path:
    """Return the load balancer's certificate, which vouches for itself: clients trust this file."""
    balancing, acm = (world.emulator.client(one, REGION) for one in ("elbv2", "acm"))
    (balancer,) = balancing.describe_load_balancers()["LoadBalancers"]
    (listener,) = balancing.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    arn = listener["Certificates"][0]["CertificateArn"]
    file = world.files.inner / "load-balancer.pem"
    file.write_text(acm.get_certificate(CertificateArn=arn)["Certificate"])
    return file


def ask(world: World, held_out: HeldOut) -> Asked:
    """Send the whole held-out set through the load balancer, with a token, and return what came of it."""
    begun = time.monotonic()
    answers = _sent(world, held_out, world.issuer.token("rehearsal"))
    seconds = time.monotonic() - begun
    return Asked(
        figures=serving_figures(answers, held_out.expected, seconds, workers=1),
        seconds=seconds,
        latencies_ms=tuple(one.milliseconds for one in answers),
    )


def ask_without_token(world: World, held_out: HeldOut) -> int:
    """Return the status that a client without a token gets."""
    alone = HeldOut(requests=held_out.requests[:1], expected=held_out.expected[:1])
    return _sent(world, alone, "")[0].status


def example(world: World) -> tuple[Path, str]:
    """Return a file with the body of one request, and its content type."""
    held_out = read_held_out(world.files.inner / OFFLINE)
    body = world.folder / "example-request"
    body.write_bytes(held_out.requests[0].body)
    return body, held_out.requests[0].content_type


def _sent(world: World, held_out: HeldOut, token: str) -> Sequence[Answer]:
    return send_all(
        predictions_url(world),
        held_out.requests,
        ca=door_certificate(world),
        concurrency=world.plan.concurrency,
        answered=lambda: None,
        token=token,
        address=addresses.BALANCER,
    )
