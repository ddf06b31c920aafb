"""The whole stage on real digits with a small network of the user's own: pass, restart, refusal, wrong packages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from model_code.compress import build
from model_code.compress.__main__ import compress, main
from model_code.compress.export import export_onnx
from model_code.errors import InputError, RunFailedError
from model_code.train import main as train
from tests import small_data
from tests.runs import mlp_recipe

SERVE_FILES = Path(__file__).parents[1] / "serve_config"
QUICK = ["compress.epochs=6", "compress.prune=0.5", "compress.distill=false", "compress.learning_rate=0.003"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A trained multi-layer perceptron on the digits, measured quickly."""
    folder = tmp_path_factory.mktemp("compress")
    data = small_data.digits(folder / "data")
    train(["--recipe", mlp_recipe(folder), "--data", data, "--runs", str(folder / "runs")])
    patch = pytest.MonkeyPatch()
    whole = build.run_measure
    # Others may edit the code while this runs; what is finished shall stay so.
    patch.setattr("model_code.compress.__main__.code_digest", lambda: "code")
    patch.setattr(build, "run_measure", lambda words, threads: whole([*words, "--seconds", "0.05"], threads))
    yield str(next((folder / "runs").iterdir()))
    patch.undo()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The candidates' folders that are measured from here on."""
    measured: list[str] = []
    whole = build.run_measure

    def measure(words: list[str], threads: int) -> dict[str, Any]:
        measured.append(Path(words[1]).parent.name)
        return whole(words, threads)

    monkeypatch.setattr(build, "run_measure", measure)
    return measured


@pytest.fixture(scope="module")
def passed(run: str) -> dict[str, Any]:
    """The result of a compression that passes."""
    return compress(run, SERVE_FILES, QUICK)


def test_the_cheapest_candidate_that_passes_is_chosen(run: str, passed: dict[str, Any]) -> None:
    """Every candidate is measured from its archive, and the chosen one is the cheapest of those that passed."""
    rows = {row["name"]: row for row in passed["candidates"]}
    assert set(rows) == {"onnx-fp32", "onnx-int8", "pruned-50-onnx-fp32", "pruned-50-onnx-int8"}
    assert passed["passed"]
    assert rows["onnx-fp32"]["passed"]
    assert rows["onnx-fp32"]["metric"] == passed["baseline"]["metric"] > 0.9
    assert all(row["fidelity"]["faithful"] for row in rows.values())
    cheapest = min((row for row in rows.values() if row["passed"]), key=lambda row: row["cost"])
    assert passed["chosen"] == cheapest["name"]
    assert rows["pruned-50-onnx-fp32"]["parameters"] < 0.8 * rows["onnx-fp32"]["parameters"]
    assert Path(run, "candidates", passed["chosen"], "model.mar").stat().st_size == cheapest["size_bytes"]


def test_the_report_names_what_was_chosen_and_shows_it(run: str, passed: dict[str, Any]) -> None:
    """The JSON carries the chosen archive's hash; the page both pictures and every candidate, all in one file."""
    report = json.loads(Path(run, "report.json").read_text())
    chosen = next(row for row in report["candidates"] if row["name"] == report["chosen"])
    assert report["mar_sha256"] == chosen["mar_sha256"]
    assert report["dataset"]["test_samples"] == 359
    assert report["name"] == "custom-digits"
    assert report["analysis"]["sensitivity"]
    assert {"cpu", "threads", "torch", "onnxruntime", "date"} <= report["machine"].keys()
    page = Path(run, "report.html").read_text()
    assert page.count("<svg") == 2
    assert all(f">{row['name']}<" in page for row in report["candidates"])
    assert "src=" not in page
    assert "<link" not in page
    assert passed["report"].endswith("/report.json")


def test_the_artifact_carries_its_own_golden_answers(run: str, passed: dict[str, Any]) -> None:
    """The chosen model.json has requests with the answers that the package gave."""
    facts = json.loads(Path(run, "candidates", passed["chosen"], "artifact", "model.json").read_text())
    assert len(facts["golden"]) == 3
    assert all(set(golden["answer"]["scores"]) == set("0123456789") for golden in facts["golden"])


def test_a_second_call_redoes_only_what_is_missing(
    run: str, passed: dict[str, Any], counted: list[str]
) -> None:
    """All there: nothing is measured. One folder gone, one archive damaged: those two, and no training again."""
    again = compress(run, SERVE_FILES, QUICK)
    assert counted == []
    assert again["candidates"] == passed["candidates"]
    shutil.rmtree(Path(run, "candidates", "onnx-int8"))
    Path(run, "candidates", "pruned-50-onnx-fp32", "model.mar").write_bytes(b"half")
    tuned = Path(run, "networks", "pruned-50", "model.safetensors").stat().st_mtime_ns
    compress(run, SERVE_FILES, QUICK)
    assert counted == ["onnx-int8", "pruned-50-onnx-fp32"]
    assert Path(run, "networks", "pruned-50", "model.safetensors").stat().st_mtime_ns == tuned


def test_other_serving_code_is_another_archive(
    run: str, passed: dict[str, Any], counted: list[str], tmp_path: Path
) -> None:
    """An edit in the serving room's files packs and measures every candidate again."""
    edited = tmp_path / "serve"
    shutil.copytree(SERVE_FILES, edited)
    with (edited / "predictor.py").open("a") as file:
        file.write("# edited\n")
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    result = compress(
        str(copied), edited, ["compress.prune=", "compress.quantize=false", "compress.distill=false"]
    )
    assert counted == ["baseline", "onnx-fp32"]
    before = {row["name"]: row for row in passed["candidates"]}["onnx-fp32"]
    assert result["candidates"][0]["mar_sha256"] != before["mar_sha256"]


def test_an_impossible_tolerance_refuses_without_training(
    run: str, passed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit by RunFailedError with the best ratio and the next step; the report says so; no round is wasted."""
    capsys.readouterr()
    with pytest.raises(
        RunFailedError, match=r"the best keeps 1\.0000, see file://.*lower compress.tolerance"
    ):
        main(["--run", run, "--serve-files", str(SERVE_FILES), *QUICK, "compress.tolerance=1.5"])
    result = json.loads(capsys.readouterr().out)
    assert (result["passed"], result["chosen"], result["mar"]) == (False, None, None)
    assert [row["name"] for row in result["candidates"]] == ["onnx-fp32"]
    report = json.loads(Path(run, "report.json").read_text())
    assert report["passed"] is False
    assert report["mar_sha256"] is None
    assert report["adjustments"] == []
    assert "Refused." in Path(run, "report.html").read_text()
    assert passed["passed"]


def test_a_package_with_other_weights_is_refused(
    run: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, counted: list[str]
) -> None:
    """A silently wrong export (shuffled classes) does not pass, however good its figures may be elsewhere."""

    def wrong(model: nn.Module, inputs: dict[str, torch.Tensor], path: Path) -> None:
        export_onnx(Rolled(model), inputs, path)

    copied = tmp_path / "run"
    shutil.copytree(run, copied, ignore=shutil.ignore_patterns("candidates"))
    monkeypatch.setattr(build, "export_onnx", wrong)
    settings = ["compress.prune=", "compress.distill=false", "compress.rounds=0"]
    result = compress(str(copied), SERVE_FILES, settings)
    assert counted == ["baseline", "onnx-fp32", "onnx-int8"]
    assert not result["passed"]
    assert all(row["fidelity"]["difference"] > row["fidelity"]["limit"] for row in result["candidates"])
    assert all("answers differently" in row["reason"] for row in result["candidates"])


class Rolled(nn.Module):
    """A network that answers with each class's neighbour."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (B,K), the classes moved by one."""
        logits: torch.Tensor = self.model(image)
        return logits.roll(1, -1)


def test_a_round_adjusts_while_nothing_smaller_passes(run: str, tmp_path: Path) -> None:
    """Where a network cut too far fails, the next round cuts less and trains longer, and the report tells."""
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    settings = ["compress.prune=0.9", "compress.quantize=false", "compress.distill=false", "compress.epochs=1",
                "compress.learning_rate=1e-6", "compress.rounds=1", "compress.tolerance=0.97"]  # fmt: skip
    result = compress(str(copied), SERVE_FILES, settings)
    report = json.loads((copied / "report.json").read_text())
    assert [row["name"] for row in result["candidates"]] == [
        "onnx-fp32",
        "pruned-90-onnx-fp32",
        "pruned-54-onnx-fp32",
    ]
    assert [change["round"] for change in report["adjustments"]] == [1]
    assert [row["round"] for row in result["candidates"]] == [0, 0, 1]
    cut, gentler = (row["parameters"] for row in result["candidates"][1:])
    assert cut < gentler < result["baseline"]["parameters"]
    assert "Round 2:" in (copied / "report.html").read_text()


def test_a_candidate_that_a_tool_cannot_make_costs_only_itself(
    run: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A quantizer that gives up is named in the report; the others are judged."""

    def broken(*_: object) -> None:
        raise NotImplementedError("no kernel for Frobnicate")

    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    shutil.rmtree(copied / "candidates" / "onnx-int8", ignore_errors=True)
    monkeypatch.setattr(build, "static_int8", broken)
    result = compress(
        str(copied), SERVE_FILES, ["compress.prune=", "compress.distill=false", "compress.rounds=0"]
    )
    report = json.loads((copied / "report.json").read_text())
    assert result["chosen"] == "onnx-fp32"
    assert report["failed"] == [
        {"name": "onnx-int8", "error": "NotImplementedError: no kernel for Frobnicate"}
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "RUN", "--serve-files", "/nowhere"], "--serve-files must be a folder with predictor.py"),
        (["--run", "/nowhere", "--serve-files", "SERVE"], "it is not finished; train it first"),
        (["--run", "RUN", "--serve-files", "SERVE", "compress.prunes=1"], "did you mean `compress.prune`"),
        (
            ["--run", "RUN", "--serve-files", "SERVE", "--threads", "0"],
            "--threads must be between 1 and 1024",
        ),
        (["--run", "RUN"], "--serve-files"),
    ],
)
def test_wrong_words_are_one_line(run: str, words: list[str], message: str) -> None:
    """Bad input is refused with the field and the next step, before any work."""
    known = {"RUN": run, "SERVE": str(SERVE_FILES)}
    with pytest.raises(InputError, match=message) as caught:
        main([known.get(word, word) for word in words])
    assert "\n" not in str(caught.value)
