"""A serving node in an emulated AWS, whole: it waits, serves, and leaves when the notice comes."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serve_config.cloud import node_command
from serve_config.cloud_settings import CloudSettings, variable
from tests.cloud_node import REGION, KmsSigner, Place
from tests.conftest import free_port
from tests.metadata import metadata_server
from tests.serving import NAME, picture, publish, write_artifact
from tests.serving_node import ROOT, needs_haproxy, until

PNG = {"content-type": "image/png"}


def test_the_node_below() -> None:
    """Its command line, whole."""
    settings = CloudSettings(
        models="s3://skylift-models",
        name="resnet-digits",
        signing_key="arn:aws:kms:eu-central-1:123456789012:key/0a1b",
        group="skylift-dev-serve",
        target_group="arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/skylift/1",
        metrics_namespace="Skylift/dev",
        region="eu-central-1",
        idle_seconds=130,
    )
    words = node_command(settings, Path("/run/skylift"), "i-0123")
    assert words[0] == sys.executable
    assert " ".join(words[1:]) == (
        "-m serve_config.node --models s3://skylift-models --name resnet-digits "
        "--public-key /run/skylift/signing.pub.pem --host 0.0.0.0 --port 8443 --metrics-port 9443 "
        "--response-seconds 120 --keep-alive-seconds 145 --drain-seconds 30 "
        "--state /var/lib/skylift/serve --node-id i-0123 --nodes-file /run/skylift/nodes"
    )


@contextmanager
def in_the_cloud(settings: CloudSettings, metadata: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run a node with the environment that user data writes; yield it and its log."""
    told = {variable(name): str(value) for name, value in vars(settings).items() if str(value)}
    environment = {**os.environ, **told, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata}
    process = subprocess.Popen(
        [sys.executable, "-m", "serve_config.cloud"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()
            reader.join(5)


def status(port: int, path: str, body: bytes = b"") -> int:
    """Return what the node answers, 0 where nobody does. Its certificate is its own: the balancer takes any."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with httpx.Client(verify=context, base_url=f"https://127.0.0.1:{port}", trust_env=False) as client:
        try:
            answer = client.post(path, content=body, headers=PNG) if body else client.get(path)
        except httpx.TransportError:
            return 0
    return answer.status_code


@needs_haproxy
@pytest.mark.usefixtures("bucket")
def test_a_node_waits_for_its_release_serves_it_and_leaves_on_a_spot_notice(tmp_path: Path) -> None:
    """Unready and out of the load balancer at once, while it serves on; then it ends well."""
    place = Place()
    own, other = sorted(one["InstanceId"] for one in place.instances())
    ports = {"port": free_port(), "metrics_port": free_port()}
    settings = place.settings(tmp_path, **ports, drain_seconds=30)
    answers: Callable[[], int] = lambda: status(settings.port, f"/predictions/{NAME}", picture(1))  # noqa: E731
    with (
        metadata_server(own) as service,
        in_the_cloud(settings, service.endpoint(own)) as (process, log),
    ):
        until(lambda: any("waiting for the first release" in line for line in log), 60, "waiting")
        publish(tmp_path / "models", write_artifact(tmp_path / "artifact"), KmsSigner(place.key))
        until(lambda: status(settings.port, "/ready") == 200, 90, "ready")
        assert answers() == 200
        service.values[own]["spot/instance-action"] = (
            '{"action": "terminate", "time": "2099-01-01T00:00:00Z"}'
        )
        until(lambda: status(settings.port, "/ready") == 503, 20, "unready")
        assert answers() == 200
        until(lambda: place.registered() == {other}, 10, "out of the load balancer")
        assert process.wait(60) == 0
    assert any("leaving (spot)" in line for line in log)
    assert answers() == 0


@pytest.mark.usefixtures("bucket")
def test_a_stopped_node_that_waits_ends_at_once(tmp_path: Path) -> None:
    """SIGTERM before there is anything to serve: exit code 0, and the group keeps both nodes."""
    place = Place()
    own = place.instances()[0]["InstanceId"]
    with (
        metadata_server(own) as service,
        in_the_cloud(place.settings(tmp_path), service.endpoint(own)) as (process, log),
    ):
        until(lambda: any("waiting for the first release" in line for line in log), 60, "waiting")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert len(place.registered()) == 2


def test_a_wrong_environment_ends_with_one_line_and_code_2() -> None:
    """Nothing is started."""
    ended = subprocess.run(
        [sys.executable, "-m", "serve_config.cloud"],
        cwd=ROOT,
        env={**os.environ, "AWS_REGION": REGION, "SKYLIFT_MODELS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: SKYLIFT_MODELS is not set; user data writes it to /etc/skylift/node.env\n"
