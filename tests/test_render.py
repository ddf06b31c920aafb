"""The configuration files of the two servers, whole."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from serve_config.certificate import make_certificate
from serve_config.render import REFUSALS, Place, Plan, Ports, render_haproxy, render_properties
from serve_config.torchserve import java_command, worker_environment

PLAN = Plan(
    name="digits",
    workers=3,
    gpus=1,
    batch_size=8,
    batch_delay_ms=5,
    response_seconds=120,
    keep_alive_seconds=75,
    max_body_bytes=6291456,
    max_connections=4096,
    max_queue=256,
    queue_seconds=5,
    drain_seconds=30,
    threads=1,
    listener=7,
    run=Path("/run/skylift"),
    supervisor=9100,
    places=(
        Ports(
            inference=8080,
            management=8081,
            metrics=8082,
            grpc_inference=7070,
            grpc_management=7071,
            worker=9000,
        ),
        Ports(
            inference=8090,
            management=8091,
            metrics=8092,
            grpc_inference=7080,
            grpc_management=7081,
            worker=9010,
        ),
    ),
)
PLACE = Place(server="a", ports=PLAN.places[0], folder=Path("/run/skylift/a1"))
EXPECTED = Path(__file__).parent / "expected"
"""The files as they were looked through by a person."""


def settings(text: str) -> dict[str, str]:
    """Return the settings of a properties file."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_config_properties() -> None:
    """TorchServe listens on loopback only, loads one archive from one folder, and its queue is bounded."""
    assert settings(render_properties(PLAN, PLACE, "f5a776e1dc53")) == {
        "inference_address": "http://127.0.0.1:8080",
        "management_address": "http://127.0.0.1:8081",
        "metrics_address": "http://127.0.0.1:8082",
        "grpc_inference_address": "127.0.0.1",
        "grpc_management_address": "127.0.0.1",
        "grpc_inference_port": "7070",
        "grpc_management_port": "7071",
        "initial_worker_port": "9000",
        "initial_distribution_port": "9000",
        "disable_token_authorization": "true",
        "enable_model_api": "false",
        "use_env_allowed_urls": "false",
        "allowed_urls": "file:///run/skylift/a1/store/.*",
        "install_py_dep_per_model": "false",
        "load_models": "model.mar",
        "models": '{"digits": {"f5a776e1dc53": {"defaultVersion": true, "marName": "model.mar", "minWorkers": 3, '
        '"maxWorkers": 3, "batchSize": 8, "maxBatchDelay": 5}}}',
        "number_of_gpu": "1",
        "job_queue_size": "104",
        "max_request_size": "6291456",
        "decode_input_request": "false",
        "number_of_netty_threads": "2",
        "netty_client_threads": "2",
        "metrics_mode": "prometheus",
    }


def test_haproxy_cfg() -> None:
    """The front's configuration is, word for word, the one that was looked through."""
    assert render_haproxy(PLAN, holding=False) == (EXPECTED / "haproxy.cfg").read_text()


@pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="haproxy is not installed: apt-get install haproxy"
)
def test_haproxy_takes_it_without_a_warning(tmp_path: Path) -> None:
    """HAProxy itself finds nothing to say about the configuration."""
    make_certificate(tmp_path, "localhost")
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        render_haproxy(replace(PLAN, run=tmp_path), holding=True).replace("bind fd@7", "bind 127.0.0.1:1")
    )
    checked = subprocess.run(
        ["haproxy", "-c", "-f", str(config)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr.replace("Configuration file is valid\n", "")) == (0, "")


def test_every_refusal_is_answered_in_both_ways() -> None:
    """A refusal that has a condition has a reply for small bodies and one for drained ones."""
    text = render_haproxy(PLAN, holding=False)
    for refusal in REFUSALS:
        assert text.count(f"set-var(txn.refusal) str({refusal.name})") == 1
        assert text.count(f"var(txn.refusal) -m str {refusal.name} ") == 2


def test_the_java_command() -> None:
    """The class path holds TorchServe's own jar only, and heap and temporary folder are bound."""
    words = java_command(PLACE, 512)
    path = words[words.index("-cp") + 1]
    assert path.endswith("/ts/frontend/*")
    assert ":" not in path
    assert "-Xmx512m" in words
    assert "-Djava.io.tmpdir=/run/skylift/a1/tmp" in words
    assert words[words.index("-s") + 1] == "/run/skylift/a1/store"


def test_workers_inherit_no_secrets() -> None:
    """Keys, cloud variables and TorchServe's own variables do not reach the workers."""
    ours = {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "x",
        "TS_ALLOWED_URLS": ".*",
        "PYTHONPATH": "/somewhere",
        "LD_PRELOAD": "x.so",
    }
    found = worker_environment(ours, PLACE, version="v", runtime="onnxruntime", threads=2)
    assert found.pop("PYTHONPATH").endswith("/serve_config/worker_site")
    assert found == {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "TMPDIR": "/run/skylift/a1/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "TOKENIZERS_PARALLELISM": "false",
        "TS_DECODE_INPUT_REQUEST": "false",
        "SKYLIFT_THREADS": "2",
        "SKYLIFT_VERSION": "v",
        "SKYLIFT_WORKER_FOLDER": "/run/skylift/a1/workers",
    }
    assert "PYTHONPATH" not in worker_environment(ours, PLACE, version="v", runtime="torch-export", threads=1)
