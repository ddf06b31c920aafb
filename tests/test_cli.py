"""The command line: words in, command lines out; bad input is one line and exit code 2 before anything starts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.cli import stages
from infra.cli.errors import InputError, StageFailedError
from infra.cli.layout import layout
from infra.cli.predict import line_request, read_input
from infra.cli.processes import first_json, run, start, stop
from infra.cli.settings import split_settings, tolerance_setting
from infra.cli.sources import parse_data, recipe_for

PYTHON = sys.executable


def skylift(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `skylift` as a user would."""
    command = [str(Path(PYTHON).with_name("skylift")), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=60)


BAD_COMMANDS = {
    "pipeline --nproc 0": "Invalid value for '--nproc'",
    "pipeline --workers two": "Invalid value for '--workers'",
    "pipeline --nrpoc 2": "unknown option `--nrpoc`; did you mean `--nproc`?",
    "pipeline --recipe rsnet": "unknown recipe `rsnet`; did you mean `resnet`?",
    "pipeline --recipe bert": "--data must be given with --recipe bert; for example --data text:FILE.csv",
    "pipeline --recipe gpt": "--data must be given with --recipe gpt; for example --data tokens:FILE.txt",
    "pipeline --data text:none.csv": "--data must exist, not found: `none.csv`",
    "pipeline --recipe gpt --data digits": "--recipe must fit the data, got gpt for `digits`; write --recipe resnet",
    "pipeline --data images:": "--data must name a place after `images:`",
    "pipeline --data .": "write images:. for a folder per class",
    "pipeline --data http://x/y": "--data must be digits, images:DIR, text:FILE, tokens:FILE",
    "pipeline --out ftp://x": "--out must be a folder or an s3:// URI, got `ftp://x`",
    "pipeline train.epoch=3": "unknown setting `train.epoch`; did you mean `train.epochs`?",
    "pipeline train.epochs=many": "train.epochs must be a whole number, got `many`",
    "pipeline --tolerance 20": "compress.tolerance must be between -10 and 10, got 20",
    "train compress.prune=0.5": "a setting of training must not be `compress.prune=0.5`; give it to skylift compress",
    "compress --run x train.epochs=3": "must begin with compress., got `train.epochs=3`; train again with it",
    "piepline": "No such command 'piepline'. Did you mean 'pipeline'?",
    "predict none.png --url https://127.0.0.1:1 --name m": "input must be a file, not found: `none.png`",
    "predict --name m": "INPUTS must be given to ask a server",
    "predict a.png --name m": "--url must be given to ask a server",
    "predict a.png --url x --name m --split test": "--split must not be given with INPUTS, got `test`; give",
    "predict --batch digits --name m --url x": "--url must not be given with --batch, got `x`; leave it out",
    "predict a.png --batch digits --name m": "INPUTS must not be given with --batch, got `a.png`; leave it out",
    "predict --batch none --name m": "--data must be digits, images:DIR, text:FILE, tokens:FILE",
    "rollback": "Missing option '--name'",
    "rollback --name m": "`m` has no earlier release to go back to",
    "promote": "Missing option '--name'",
    "promote --name m": "`m` must have an open rollout to promote, it has none; see `skylift releases",
    "abort --name m": "`m` must have an open rollout to abort, it has none",
    "release --run none --percentage 101": "Invalid value for '--percentage'",
    "release --run none": "run must have a gate report, none in none",
}


@pytest.mark.parametrize("words", BAD_COMMANDS)
def test_bad_input_is_one_line_and_exit_code_2(words: str, tmp_path: Path) -> None:
    """The line names what is wrong; stdout stays empty; no stack trace."""
    done = skylift(*words.split(), cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert BAD_COMMANDS[words] in " ".join(errors)
    assert (done.returncode, done.stdout, len(errors)) == (2, "", 1)
    assert "Traceback" not in done.stderr


def test_every_stage_has_its_command_line() -> None:
    """The words that start the other rooms, whole."""
    where = layout("/out")
    assert stages.train_command("bert", "/d", where.runs, 2, ["train.epochs=3"]) == [
        *(
            PYTHON,
            "-m",
            "model_code.launch",
            "--standalone",
            "--nproc-per-node",
            "2",
            "-m",
            "model_code.train",
        ),
        *("--recipe", "bert", "--data", "/d", "--runs", "/out/work/runs", "train.epochs=3"),
    ]
    assert stages.data_command("digits", where.data, ["--on-error", "skip"]) == [
        *(
            PYTHON,
            "-m",
            "model_code.data.write",
            "--source",
            "digits",
            "--out",
            "/out/data",
            "--on-error",
            "skip",
        )
    ]
    assert stages.release_command("publish", where.models, str(where.keys), ["--run", "/r"]) == [
        *(PYTHON, "-m", "model_code.release", "publish", "--models", "/out/models", "--key", "/out/keys"),
        *("--run", "/r"),
    ]
    assert stages.serve_command(where, "m", ["--workers", "2"]) == [
        *(PYTHON, "-m", "serve_config.node", "--models", "/out/models", "--name", "m"),
        *("--public-key", "/out/keys/signing.pub.pem", "--workers", "2"),
    ]
    assert stages.compress_command("/r", "m", ["compress.rounds=0"]) == [
        *(PYTHON, "-m", "model_code.compress", "--run", "/r", "--serve-files", str(stages.SERVE_FILES)),
        *("--name", "m", "compress.rounds=0"),
    ]
    offline = [
        "--release",
        "/m/v",
        "--public-key",
        "/out/keys/signing.pub.pem",
        "--data",
        "/d",
        "--split",
        "test",
    ]
    assert stages.offline_command(where, "/m/v", "/d", Path("/o")) == [
        *(PYTHON, "-m", "model_code.predict", *offline, "--out", "/o", "--device", "cpu")
    ]
    assert stages.batch_command(where, "/m/v", "/d", "test", "s3://b/o", 3) == [
        *(PYTHON, "-m", "model_code.launch", "--standalone", "--nproc-per-node", "3"),
        *("-m", "model_code.predict", *offline, "--out", "s3://b/o"),
    ]


def test_a_run_is_named_by_its_training_alone() -> None:
    """Settings of compression do not reach training: another tolerance does not train again."""
    words = ["compress.tolerance=0.9", "train.epochs=3", "model.layers=1"]
    assert split_settings(words) == (["train.epochs=3", "model.layers=1"], ["compress.tolerance=0.9"])


def test_a_recipes_own_tolerance_counts_where_none_is_given() -> None:
    """`--tolerance` becomes a setting only when somebody wrote it."""
    assert tolerance_setting(None) == []
    assert tolerance_setting(0.995) == ["compress.tolerance=0.995"]


def test_remote_stores_keep_the_keys_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An s3:// output has its stores there and its signing key on this machine."""
    monkeypatch.chdir(tmp_path)
    where = layout("s3://bucket/prefix/")
    assert (where.data, where.models) == ("s3://bucket/prefix/data", "s3://bucket/prefix/models")
    assert where.keys == tmp_path / "skylift-local" / "keys"


def test_recipe_and_data_follow_from_each_other(tmp_path: Path) -> None:
    """Each kind of source has its recipe; no data means the digits; ready shards need a recipe named."""
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "index.json").write_text("{}")
    assert recipe_for("", "") == ("resnet", "digits")
    assert recipe_for("", f"text:{tmp_path / 'a.csv'}")[0] == "bert"
    assert recipe_for("", f"tokens:{tmp_path / 'a.csv'}")[0] == "gpt"
    assert recipe_for("mine.py:f", "digits") == ("mine.py:f", "digits")
    assert parse_data(str(tmp_path)).shards == str(tmp_path)
    with pytest.raises(InputError, match="--recipe must be given with ready shards"):
        recipe_for("", str(tmp_path))


def test_a_file_of_requests_is_read_line_by_line(tmp_path: Path) -> None:
    """Blank lines are left out, line numbers kept; JSON goes as it is, other lines as texts."""
    path = tmp_path / "in.txt"
    path.write_text('hello "you"\n\n{"text": "x"}\n')
    named = read_input(str(path))
    assert [name for name, _ in named] == [f"{path}:1", f"{path}:3"]
    assert [r.body for _, r in named] == [b'{"text": "hello \\"you\\""}', b'{"text": "x"}']
    assert line_request("{}").content_type == "application/json"
    other = tmp_path / "in.bin"
    other.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"must be an image, \.jsonl, \.txt or -"):
        read_input(str(other))


def test_a_stage_gives_its_last_line_and_its_memory() -> None:
    """The result is the JSON on the last line of stdout; the peak is the process's own."""
    script = "x = bytearray(200_000_000); print('noise'); print('{\"a\": 1}')"
    finished = run("demo", [PYTHON, "-c", script])
    assert finished.result == {"a": 1}
    assert finished.peak_memory_bytes > 200_000_000


@pytest.mark.parametrize(("code", "expected"), [(2, 2), (1, 1), (139, 1)])
def test_a_failed_stage_keeps_bad_input_apart(code: int, expected: int) -> None:
    """Exit code 2 stays 2, everything else is a failed run."""
    with pytest.raises(StageFailedError) as error:
        run("demo", [PYTHON, "-c", f"import os; os._exit({code})"])
    assert error.value.code == expected


def test_stopping_ends_grandchildren_too() -> None:
    """A stage that starts processes of its own leaves none behind."""
    script = (
        "import subprocess, sys, json\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(json.dumps({'child': child.pid}), flush=True)\n"
        "child.wait()\n"
    )
    process = start([PYTHON, "-c", script])
    child = first_json(process, "demo")["child"]
    stop(process)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the grandchild lives"


def test_a_stage_that_dies_before_it_is_ready_fails() -> None:
    """Waiting for readiness ends when the process does."""
    with pytest.raises(StageFailedError):
        first_json(start([PYTHON, "-c", "raise SystemExit(1)"]), "serve")
