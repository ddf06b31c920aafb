"""The life of a real node: what it does when its parts die, and when it is told to stop."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import threading
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from serve_config.errors import InputError, ServeFailedError
from serve_config.node import main
from tests.faults.slow_clients import in_service
from tests.serving import NAME, new_signer, publish, write_artifact
from tests.serving_node import ROOT, command, needs_haproxy, release, running_node, until

PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line that serves the tiny model."""
    return release(tmp_path_factory.mktemp("release"))


def slow_picture() -> bytes:
    """A small file of many pixels, which takes a worker a second."""
    buffer = io.BytesIO()
    Image.new("L", (7000, 7000)).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def gone(processes: list[psutil.Process]) -> bool:
    """Tell whether all of them have ended."""
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


@needs_haproxy
def test_a_stopped_node_finishes_what_it_has_and_leaves_nothing(words: list[str]) -> None:
    """SIGTERM: requests in flight are answered, new ones are not taken, no process and no folder stays."""
    with running_node(words, "--workers", "1") as node:
        folder = Path(node.facts["ca"]).parent
        family = node.family()
        statuses: list[int] = []
        large = slow_picture()

        def ask() -> None:
            with node.client() as client:
                answer = client.post(f"/predictions/{NAME}", content=large, headers=PNG)
                statuses.append(answer.status_code)

        asking = [threading.Thread(target=ask) for _ in range(3)]
        (worker,) = node.workers()
        worker.suspend()  # or the first may be answered before the last is sent
        for one in asking:
            one.start()
        until(lambda: in_service(node) == 3, 10, "three requests in flight")
        node.process.send_signal(signal.SIGTERM)
        worker.resume()
        for one in asking:
            one.join(60)
        assert statuses == [200, 200, 200]
        assert node.process.wait(30) == 0
        until(lambda: gone(family), 5, "processes ended")
        assert not folder.exists()
        with pytest.raises(httpx.ConnectError):
            httpx.get(node.url, trust_env=False)


@needs_haproxy
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_can_be_stopped_while_it_starts(words: list[str], number: signal.Signals) -> None:
    """A signal before the node is ready ends it too, without an announcement and with nothing left."""
    process = subprocess.Popen(
        command(*words, "--port", "0", "--metrics-port", "0"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    parent = psutil.Process(process.pid)
    until(lambda: len(parent.children(recursive=True)) >= 2, 30, "the servers are starting")
    family = parent.children(recursive=True)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == b""
    until(lambda: gone(family), 5, "processes ended")


@needs_haproxy
def test_servers_do_not_outlive_a_killed_node(words: list[str]) -> None:
    """Where the node itself is killed, the kernel ends TorchServe and the front with it."""
    with running_node(words, "--workers", "1") as node:
        family = node.family()
        folder = Path(node.facts["ca"]).parent
        node.process.kill()
        until(lambda: gone(family), 10, "processes ended")
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@needs_haproxy
def test_a_model_that_does_not_load_is_given_up_soon(tmp_path: Path) -> None:
    """Where every worker dies on loading, the node says why and ends with 1, long before its deadline."""
    signer, artifact = new_signer(), write_artifact(tmp_path / "artifact")
    (artifact / "model.onnx").write_bytes(b"no network")
    publish(tmp_path / "models", artifact, signer)
    words = ["--models", str(tmp_path / "models"), "--name", NAME]
    words += ["--public-key", str(signer.write_public(tmp_path / "public.pem"))]
    ports = ["--port", "0", "--metrics-port", "0", "--workers", "1"]
    done = subprocess.run(
        command(*words, *ports), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "INVALID_PROTOBUF" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the model cannot be loaded: 5 workers died")


@needs_haproxy
def test_a_taken_port_is_named(words: list[str]) -> None:
    """A port that somebody else has is one line with the setting and the next step."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(InputError, match=f"--port {port} is taken; choose another"):
            main([*words, "--port", port])


def test_a_missing_haproxy_is_named(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without HAProxy the line says what to install."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(InputError, match="apt-get install haproxy"):
        main(words)


@needs_haproxy
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--name", "unknown"], "`unknown` has no release"),
        (["--name", "../x"], "--name must be letters"),
        (["--public-key", "/nowhere.pem"], "--public-key must be a PEM file"),
        (["--workers", "900"], "--workers must be between 0 and 256, got 900"),
        (["--worker", "2"], "unrecognized arguments: --worker"),
        (["--workers", "two"], "invalid int value"),
        (["--device", "tpu"], "--device must be auto, cpu or cuda"),
        (["--models", "ftp://x"], "file:// or s3://"),
    ],
)
def test_wrong_settings_are_named(words: list[str], change: list[str], message: str) -> None:
    """Each wrong setting is refused before anything starts."""
    with pytest.raises(InputError, match=message):
        main([*words, *change])


@needs_haproxy
def test_exit_codes_and_one_line(words: list[str], tmp_path: Path) -> None:
    """Bad input leaves with 2, a release that is not what was signed with 1, each with one line."""
    missing = subprocess.run(command("--name", "x"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: the following arguments are required: --models")
    assert missing.stderr.count("\n") == 1
    strange = release(tmp_path)
    mixed = [*words[:4], *strange[4:]]
    tampered = subprocess.run(command(*mixed), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (tampered.returncode, tampered.stdout) == (1, "")
    assert tampered.stderr.count("\n") == 1
    assert "not signed by the given key" in tampered.stderr


@needs_haproxy
def test_an_old_pointer_is_refused_after_a_newer_one(words: list[str], tmp_path: Path) -> None:
    """A node that has seen counter 7 does not follow counter 1."""
    (tmp_path / f"{NAME}.counter").write_text("7")
    with pytest.raises(ServeFailedError, match="counter 1, 7 was seen before"):
        main([*words, "--state", str(tmp_path)])
