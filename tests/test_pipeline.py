"""The main job, as a user runs it: real training, real compression, a real TorchServe behind a real HAProxy."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bench.photographs import write_photographs
from tests.conftest import SHARED_DATA

SKYLIFT = str(Path(sys.executable).with_name("skylift"))
KEYS = {
    "train": {"metric_name", "metric", "steps", "seconds"},
    "release": {
        "name",
        "version",
        "uri",
        "metric",
        "baseline_metric",
        "size_bytes",
        "baseline_size_bytes",
        "speedup",
    },
    "serving": {
        *(
            "requests",
            "failed",
            "agreeing",
            "correct",
            "accuracy",
            "p50_ms",
            "p99_ms",
            "requests_per_s",
            "workers",
        ),
    },
}
"""What `--json` promises."""


def pipeline(out: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `skylift pipeline --out …`, check its exit code and that it left no process and no temporary file."""
    command = [SKYLIFT, "pipeline", "--out", str(out), *words]
    with tempfile.TemporaryDirectory(prefix="sky") as place:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=600, env=environment(place)
        )
        assert done.returncode == code, done.stderr[-3000:]
        assert running(place) == []
        assert [path.name for path in Path(place).iterdir() if path.name.startswith("skylift")] == []
    return done


def environment(place: str) -> dict[str, str]:
    """Return an environment by whose folder for temporary files a pipeline's processes can be told from others."""
    return {**os.environ, "TMPDIR": place}


def running(place: str) -> list[str]:
    """Return the command lines of the processes of a pipeline that run: those that name its temporary folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if place in words or process.environ().get("TMPDIR") == place:
                found.append(words)
    return found


def checked(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the one JSON object on stdout, with every promised key, every request answered and agreeing."""
    assert len(done.stdout.splitlines()) == 1
    result: dict[str, Any] = json.loads(done.stdout)
    for part, keys in KEYS.items():
        assert keys <= result[part].keys()
    serving = result["serving"]
    assert serving["failed"] == 0
    assert serving["agreeing"] == serving["requests"] > 0
    assert {"name", "metric", "size_bytes", "latency_ms_batch1", "passed"} <= result["candidates"][0].keys()
    return result


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the digits pipeline writes; later tests find its run and its release there."""
    return tmp_path_factory.mktemp("digits")


@pytest.fixture(scope="module")
def digits(out: Path) -> dict[str, Any]:
    """The result of the default main job."""
    return checked(pipeline(out, "--json"))


@pytest.mark.timeout(600)
def test_the_main_job_reaches_its_figures(digits: dict[str, Any]) -> None:
    """Digits: 98 % served accuracy, 99 % of the original's quality, a quarter of its size, twice its speed."""
    release, serving = digits["release"], digits["serving"]
    assert digits["world_size"] == 2
    assert serving["workers"] == 2
    assert serving["accuracy"] >= 0.98
    assert release["metric"] >= 0.99 * release["baseline_metric"]
    assert release["size_bytes"] <= release["baseline_size_bytes"] / 4
    assert release["speedup"] >= 2
    assert serving["requests"] >= 300


def test_the_release_is_complete_and_its_report_passed(digits: dict[str, Any]) -> None:
    """The release's folder holds every file that the design names; the report is about this very archive."""
    folder = Path(digits["release"]["uri"])
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("model.mar", "model.safetensors", "model.json", "report.json", "report.html", "card.md"),
        *("manifest.json", "manifest.sig"),
    }
    report = json.loads((folder / "report.json").read_text())
    manifest = json.loads((folder / "manifest.json").read_text())
    assert report["passed"] is True
    assert report["mar_sha256"] == manifest["files"]["model.mar"]["sha256"]


@pytest.mark.timeout(600)
def test_an_impossible_tolerance_is_refused(digits: dict[str, Any], out: Path) -> None:
    """Exit code 1, the report is there and says no, nothing is published, stdout is empty."""
    releases = sorted(Path(digits["release"]["uri"]).parent.iterdir())
    done = pipeline(out, "--json", "--tolerance", "1.5", "compress.rounds=0", code=1)
    assert done.stdout == ""
    assert any(line.startswith("error: ") for line in done.stderr.splitlines())
    report = json.loads((out / "work" / "runs" / digits["run_id"] / "report.json").read_text())
    assert (report["passed"], report["chosen"]) == (False, None)
    assert sorted(Path(digits["release"]["uri"]).parent.iterdir()) == releases


@pytest.mark.timeout(600)
def test_kept_serving_answers_the_printed_curl_line(digits: dict[str, Any], out: Path) -> None:
    """`--keep` leaves the server running, its curl line works as printed, and the printed kill ends it all.

    Training is not done again, and the same content is the same version.
    """
    command = [SKYLIFT, "pipeline", "--out", str(out), "--keep", "--workers", "1", "--json"]
    with tempfile.TemporaryDirectory(prefix="sky") as place:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=300, env=environment(place)
        )
        assert done.returncode == 0, done.stderr[-3000:]
        line = next(line for line in done.stderr.splitlines() if line.startswith("curl "))
        server = psutil.Process(int(re.search(r"stop it: kill (\d+)", done.stderr).group(1)))  # type: ignore[union-attr]
        try:
            kept = " ".join(running(place))
            assert all(word in kept for word in ("serve_config.node", "haproxy", "java"))
            answer = subprocess.run(shlex.split(line), capture_output=True, check=True, timeout=30).stdout
            assert json.loads(answer)["label"] in map(str, range(10))
        finally:
            server.terminate()
            server.wait(60)
        assert running(place) == []
    assert json.loads(done.stdout)["run_id"] == digits["run_id"]


@pytest.mark.timeout(120)
def test_an_interrupt_stops_everything(tmp_path: Path) -> None:
    """Ctrl-C during training: exit code 130, nothing runs on."""
    command = [SKYLIFT, "pipeline", "--out", str(tmp_path), "train.epochs=1000", "train.checkpoint_every=10"]
    with (
        tempfile.TemporaryDirectory(prefix="sky") as place,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(place)) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("train"):
                break
        while not list((tmp_path / "work" / "runs").glob("*/metrics.jsonl")):
            assert process.poll() is None
            time.sleep(0.05)  # a loop without it would take one of the trainers' cores
        assert any("model_code.train" in words for words in running(place))
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait() == 130
        assert running(place) == []


QUICK = (
    "--json",
    "--nproc",
    "1",
    "--workers",
    "1",
    "compress.epochs=1",
    "compress.rounds=0",
    "compress.prune=0.3",
)


@pytest.mark.timeout(400)
def test_photographs_of_any_size_and_mode(tmp_path: Path) -> None:
    """A folder per class of real cuts in seven modes trains, is released and serves."""
    folder = write_photographs(tmp_path / "photographs", per_class=20)
    words = ["--data", f"images:{folder}", "train.steps=30", *QUICK, "compress.distill=false"]
    result = checked(pipeline(tmp_path / "out", *words))
    assert result["serving"]["accuracy"] >= 0.5


@pytest.mark.timeout(400)
def test_texts_of_a_table(tmp_path: Path) -> None:
    """A csv of texts with labels trains a small encoder, is released and serves."""
    source = SHARED_DATA / "ag_news_test.csv"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    part = tmp_path / "news.csv"
    part.write_text("".join(source.read_text().splitlines(keepends=True)[:800]))
    words = ["--recipe", "bert", "--data", f"text:{part}", "train.steps=60", "compress.tolerance=0.9"]
    result = checked(pipeline(tmp_path / "out", *words, *QUICK, "compress.distill=false", "compress.prune="))
    assert result["serving"]["accuracy"] > 0.4  # a guess is right for a quarter


@pytest.mark.timeout(400)
def test_a_language_model_of_a_book(tmp_path: Path) -> None:
    """A text file trains a small decoder; served continuations are the release's own."""
    source = SHARED_DATA / "tinyshakespeare.txt"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    book = tmp_path / "book.txt"
    book.write_text(source.read_text()[:20_000])
    words = ["--recipe", "gpt", "--data", f"tokens:{book}", "train.steps=10"]
    words += [*QUICK, "compress.distill=false", "compress.prune=", "compress.quantize=false"]
    result = checked(pipeline(tmp_path / "out", *words))
    assert result["train"]["metric_name"] == "bits_per_byte"
    assert result["serving"]["accuracy"] is None
