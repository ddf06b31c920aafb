"""Each part by itself, by command, every input and output in an (emulated) bucket: as the cloud will start them."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sklearn.datasets import load_digits

SKYLIFT = str(Path(sys.executable).with_name("skylift"))


def skylift(*words: str, stdin: str = "", code: int = 0) -> str:
    """Run `skylift`, check its exit code and return its stdout."""
    done = subprocess.run(
        [SKYLIFT, *words], input=stdin, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == code, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def place(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A working folder with the README's own model, and the bucket that everything is written to."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (tmp_path / "model_code").mkdir()
    (tmp_path / "model_code" / "mine.py").write_text(readme.partition("```python\n")[2].partition("```")[0])
    monkeypatch.chdir(tmp_path)
    return f"{bucket}/skylift"


@pytest.mark.timeout(400)
def test_the_parts_meet_in_a_bucket(place: str, tmp_path: Path) -> None:
    """data, train, compress, release, releases, serve, predict and rollback work on what the one before left there."""
    out = ("--out", place)
    data: dict[str, Any] = json.loads(skylift("data", "digits", *out))
    assert data["uri"].startswith(place)
    words = [
        "--recipe",
        "model_code/mine.py:recipe",
        "--data",
        data["uri"],
        "--nproc",
        "1",
        "train.steps=100",
    ]
    run: dict[str, Any] = json.loads(skylift("train", *words, *out))
    assert json.loads(skylift("train", *words, *out)) == run
    smaller = ["compress.prune=0.3", "compress.distill=false", "compress.epochs=1", "compress.rounds=0"]
    compressed: dict[str, Any] = json.loads(
        skylift("compress", "--run", run["uri"], "--name", "mine", *smaller)
    )
    assert compressed["passed"] is True
    published: dict[str, Any] = json.loads(skylift("release", "--run", run["uri"], *out))
    listed = json.loads(skylift("releases", "--json", *out))["releases"]
    assert [(row["name"], row["version"], row["current"]) for row in listed] == [
        ("mine", published["version"], True)
    ]
    assert published["version"] in skylift("releases", *out)
    skylift("rollback", "--name", "mine", *out, code=2)
    serve_and_ask(out, tmp_path)


def serve_and_ask(out: tuple[str, str], folder: Path) -> None:
    """Serve the release, and ask it by file, by stdin, and wrongly."""
    digit = Image.fromarray((load_digits().images[0] * 255 / 16).round().astype("uint8"))
    digit.save(folder / "digit.png")
    content = io.BytesIO()
    digit.save(content, "PNG")
    line = json.dumps({"image": base64.b64encode(content.getvalue()).decode()})
    command = [
        SKYLIFT,
        "serve",
        "--name",
        "mine",
        "--workers",
        "1",
        "--port",
        "0",
        "--metrics-port",
        "0",
        *out,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            node: dict[str, Any] = json.loads(server.stdout.readline())
            ask = ("--url", node["url"], "--name", "mine", "--ca", node["ca"])
            answers = [
                json.loads(x) for x in skylift("predict", "digit.png", "-", *ask, stdin=line).splitlines()
            ]
            assert [(a["input"], a["status"], a["answer"]["label"]) for a in answers] == [
                ("digit.png", 200, "0"),
                ("-:1", 200, "0"),
            ]
            wrong = json.loads(skylift("predict", "-", *ask, stdin="no picture", code=1))
            assert wrong["status"] == 400
        finally:
            server.terminate()
        assert server.wait(60) == 143
