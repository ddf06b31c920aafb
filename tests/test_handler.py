"""The TorchServe adapter, without Java: loaded from a packed archive as TorchServe's loader does it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from model_code.archive import pack_mar
from serve_config.handler import WORKER_FOLDER, Handler
from tests.serving import NAME, SERVE_FILES, picture, write_artifact


@dataclass
class MockContext:
    """What the handler uses of `ts.context.Context`, for a batch of requests with these content types."""

    folder: Path
    content_types: list[str | None]
    gpu_id: int | None = None
    model_yaml_config: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=lambda: {"model": {"modelVersion": "v1"}})
    statuses: dict[int, tuple[int, str]] = field(default_factory=dict)
    headers: dict[int, dict[str, str]] = field(default_factory=dict)

    @property
    def system_properties(self) -> dict[str, Any]:
        """What TorchServe tells of the worker."""
        return {"model_dir": str(self.folder), "gpu_id": self.gpu_id, "batch_size": 8}

    def get_request_header(self, position: int, name: str) -> Any:
        """Return the headers of the part `body`."""
        kind = self.content_types[position]
        return {"content-type": kind} if name == "body" and kind is not None else None

    def set_response_status(self, code: int, phrase: str, position: int) -> None:
        """Keep the status."""
        self.statuses[position] = (code, phrase)

    def set_response_content_type(self, position: int, value: str) -> None:
        """Keep the content type."""
        self.set_response_header(position, "content-type", value)

    def set_response_header(self, position: int, name: str, value: str) -> None:
        """Keep a header."""
        self.headers.setdefault(position, {})[name] = value


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny image model's artifact folder."""
    return write_artifact(tmp_path_factory.mktemp("handler") / "artifact")


@pytest.fixture
def handler(artifact: Path) -> Handler:
    """A handler with the model loaded."""
    loaded = Handler()
    loaded.initialize(MockContext(artifact, []))
    return loaded


def test_each_request_has_its_own_status(handler: Handler, artifact: Path) -> None:
    """One bad request of a batch gets its 4xx, the others their 200, all as JSON with the version."""
    kinds: list[str | None] = ["image/png", "image/png", "application/json", "text/plain", None]
    bodies = [bytearray(picture(1)), bytearray(b"no"), bytearray(b"{"), bytearray(b"x"), None]
    context = MockContext(artifact, kinds)
    answers = handler.handle([{"body": body} for body in bodies], context)
    assert [context.statuses[i][0] for i in range(5)] == [200, 422, 400, 415, 400]
    assert context.statuses[1][1] == "Unprocessable Entity"
    assert "label" in json.loads(answers[0])
    assert all("error" in json.loads(answer) for answer in answers[1:])
    assert all(isinstance(answer, bytes) for answer in answers)
    for position in range(5):
        assert context.headers[position]["content-type"] == "application/json"
        assert context.headers[position]["X-Skylift-Version"] == "v1"
        assert context.headers[position]["X-Skylift-Worker"] == str(os.getpid())


def test_a_form_has_no_body(handler: Handler, artifact: Path) -> None:
    """A request whose parts TorchServe has named otherwise counts as empty."""
    context = MockContext(artifact, [None])
    handler.handle([{"file": bytearray(b"x")}], context)
    assert context.statuses[0][0] == 400


def test_the_worker_shows_a_pulse(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the node names a folder, the worker touches its file there when loaded and at every step."""
    monkeypatch.setenv(WORKER_FOLDER, str(tmp_path))
    monkeypatch.setenv("SKYLIFT_VERSION", "0123456789abcdef")
    handler = Handler()
    handler.initialize(MockContext(artifact, []))
    pulse = tmp_path / str(os.getpid())
    os.utime(pulse, (1, 1))
    context = MockContext(artifact, ["image/png"])
    handler.handle([{"body": picture(1)}], context)
    assert pulse.stat().st_mtime > 1
    assert context.headers[0]["X-Skylift-Version"] == "0123456789abcdef"


def test_a_fault_of_ours_is_not_hidden(
    handler: Handler,
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is no client's mistake is told on stderr and reaches TorchServe."""

    def broken(_: object) -> list[Any]:
        raise RuntimeError("the network is broken")

    monkeypatch.setattr(handler.predictor, "_engine", broken)
    with pytest.raises(RuntimeError, match="the network is broken"):
        handler.handle([{"body": picture(1)}], MockContext(artifact, ["image/png"]))
    assert "RuntimeError: the network is broken" in capsys.readouterr().err


def test_the_file_defines_exactly_one_class() -> None:
    """TorchServe's loader refuses a handler file with another number of classes."""
    tree = ast.parse((SERVE_FILES / "handler.py").read_text())
    assert [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)] == ["Handler"]


WORKER = """
import sys
import ts.model_service_worker
from ts.model_loader import ModelLoaderFactory
sys.path.insert(0, sys.argv[1])
service = ModelLoaderFactory.get_model_loader().load("tiny", sys.argv[1], "handler.py", None, 8)
import serve_config
print(serve_config.__file__)
print(type(sys.modules["torch"]).__name__, "torch._C" in sys.modules)
print(type(service._entry_point.__self__.predictor).__name__)
"""


def test_an_unpacked_archive_needs_nothing_of_the_repository(artifact: Path, tmp_path: Path) -> None:
    """TorchServe's own loader loads the packed archive, by its own files, and torch stays unimported."""
    pack_mar(name=NAME, artifact=artifact, serve_files=SERVE_FILES, out=tmp_path / "model.mar")
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "model.mar") as archive:
        archive.extractall(folder)
    environment = {**os.environ, "PYTHONPATH": str(SERVE_FILES / "worker_site"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(folder)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(folder / "serve_config.py"), "_LazyModule False", "Predictor"]
