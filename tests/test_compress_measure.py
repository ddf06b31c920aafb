"""Measuring an archive in a process of its own: the same quality as training measures, and the server's own memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model_code import store
from model_code.archive import pack_mar
from model_code.compress.__main__ import describe
from model_code.compress.build import run_measure
from model_code.compress.export import export_onnx, model_json, write_artifact
from model_code.compress.measure import peak_memory_bytes, token_windows
from model_code.data.read import ShardReader
from model_code.errors import RunFailedError
from model_code.trained import Trained, load_trained
from tests import small_data
from tests.runs import trained_here

SERVE_FILES = Path(__file__).parents[1] / "serve_config"


def packed(trained: Trained, folder: Path, *, name: str = "tiny", **changed: Any) -> Path:
    """Return the archive of a trained network as ONNX, its model.json changed in some fields."""
    base = describe(trained, "cpu")
    artifact = folder / "artifact"
    artifact.mkdir(parents=True)
    export_onnx(trained.model, base.example, artifact / "model.onnx")
    facts = model_json(
        trained, name=name, runtime="onnxruntime", golden=[], metric_name=base.task.metric_name
    )
    write_artifact(artifact, trained, json.dumps({**json.loads(facts), **changed}))
    pack_mar(name=name, artifact=artifact, serve_files=SERVE_FILES, out=folder / "model.mar")
    return folder / "model.mar"


def words(mar: Path, data: str) -> list[str]:
    """Return the command line of a short measurement."""
    return ["--mar", str(mar), "--data", data, "--batch", "3", "--golden", "2", "--seconds", "0.05"]


def test_a_language_model_is_measured_as_in_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bits per byte through the packaged predictor equal those of the network over the same test split."""
    data = small_data.tokens(tmp_path / "data", lines=600)
    sizes = ["train.steps=20", "model.layers=1", "model.width=32", "model.max_tokens=16"]
    run, _ = trained_here(capsys, "--recipe", "gpt", "--data", data, "--runs", str(tmp_path / "runs"), *sizes)
    trained = load_trained(run["uri"])
    base = describe(trained, "cpu")
    expected = base.task.evaluate(trained.model, ShardReader(data, "test"), 16)
    found = run_measure(words(packed(trained, tmp_path / "packed"), data), threads=1)
    assert found["metric_name"] == "bits_per_byte"
    assert found["metric"] == pytest.approx(expected, rel=1e-4)
    assert 0 < found["latency_ms_batch1"] < found["latency_ms_serving_batch"]
    assert [golden["answer"]["tokens"] for golden in found["golden"]] == [8, 8]
    assert all(golden["content_type"] == "application/json" for golden in found["golden"])


def test_a_text_classifier_is_measured_as_in_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accuracy through the packaged predictor equals the network's; memory is the server's, not this process's."""
    data = small_data.texts(tmp_path / "data", rows=120)
    sizes = ["train.steps=15", "model.layers=1", "model.width=32", "model.vocabulary=300"]
    run, _ = trained_here(
        capsys, "--recipe", "bert", "--data", data, "--runs", str(tmp_path / "runs"), *sizes
    )
    trained = load_trained(run["uri"])
    base = describe(trained, "cpu")
    reader = ShardReader(data, "test")
    mar = packed(trained, tmp_path / "packed")
    found = run_measure(words(mar, data), threads=1)
    assert found["metric"] == pytest.approx(base.task.evaluate(trained.model, reader, 16))
    assert found["test_samples"] == len(reader)
    assert 20e6 < found["peak_memory_bytes"] < peak_memory_bytes()
    assert len(found["compared"][0]) == 2


def test_a_package_that_cannot_answer_fails_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive that refuses held-out samples is no candidate: the message says what it answered."""
    data = small_data.texts(tmp_path / "data", rows=120)
    sizes = ["train.steps=2", "model.layers=1", "model.width=32", "model.vocabulary=300"]
    run, _ = trained_here(
        capsys, "--recipe", "bert", "--data", data, "--runs", str(tmp_path / "runs"), *sizes
    )
    mar = packed(load_trained(run["uri"]), tmp_path / "packed", task="image-classification")
    with pytest.raises(RunFailedError, match="could not be measured: error: the packaged model refused"):
        run_measure(words(mar, data), threads=1)
    assert store.exists(str(mar))


def test_windows_are_those_of_the_training() -> None:
    """A block of 9 tokens and a context of 4: two windows that share a token."""

    class Block:
        def tolist(self) -> list[list[int]]:
            return [[0, 1, 2, 3, 4, 5, 6, 7, 8]]

    assert token_windows({"tokens": Block()}, 4) == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]]
