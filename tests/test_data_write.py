"""Preparing data: one JSON line, nothing half written, nothing written twice, every fault in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model_code import store
from model_code.data import write
from model_code.data.options import SourceOptions, parse_source
from model_code.data.read import ShardReader
from model_code.data.write import main, prepare
from model_code.errors import InputError
from tests.pictures import write_folder


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the stage as its users do."""
    command = [sys.executable, "-m", "model_code.data.write", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_stage_prints_its_result_and_shows_its_progress(tmp_path: Path) -> None:
    """One JSON object on one line of stdout; the bars are on stderr."""
    done = run("--source", "digits", "--out", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    assert list(result) == [
        *(
            "uri",
            "dataset",
            "version",
            "kind",
            "samples",
            "classes",
            "bytes",
            "raw_bytes",
            "skipped",
            "seconds",
        )
    ]
    assert result["uri"] == (tmp_path / "data" / "digits" / result["version"]).as_uri()
    assert sum(result["samples"].values()) == 1797
    assert result["bytes"] < result["raw_bytes"]
    assert len(ShardReader(result["uri"], "test")) == result["samples"]["test"]
    assert "writing train" in done.stderr


def test_a_fault_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    """Nothing on stdout, the rule and the next step on the last line of stderr, and no data set."""
    (tmp_path / "photos" / "empty").mkdir(parents=True)
    done = run("--source", f"images:{tmp_path / 'photos'}", "--out", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith(f"error: `{tmp_path / 'photos'}` must hold images")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "the following arguments are required: --source, --out"),
        (["--source", "digits"], "required: --out"),
        (["--source", "digit", "--out", "o"], "unknown source `digit`; did you mean `digits`?"),
        (["--source", "digits:x", "--out", "o"], "--source must be written digits, got `digits:x`"),
        (["--source", "text:", "--out", "o"], "--source must be written text:PATH"),
        (["--source", "text:/none.csv", "--out", "o"], "must exist, not found: `/none.csv`"),
        (["--source", "images:/none", "--out", "o"], "must exist, not found: `/none`"),
        (["--source", "tokens:/", "--out", "o"], "must be a file, got the folder `/`"),
        (["--source", "images:s3://b/photos", "--out", "o"], "aws s3 sync s3://b/photos FOLDER"),
        (["--source", "text:https://x/y.csv", "--out", "o"], "must start with file:// or s3://"),
        (["--source", "digits", "--out", "o", "--on-error", "ignore"], "invalid choice: 'ignore'"),
        (["--source", "digits", "--out", "o", "--image-size", "big"], "invalid int value: 'big'"),
        (["--source", "digits", "--out", "o", "--block", "3"], "--block must be 0"),
        (["--source", "digits", "--out", "o", "--vocabulary", "9"], "--vocabulary must be 0"),
        (["--source", "digits", "--out", "o", "--delimiter", "::"], "--delimiter must be one character"),
        (["--source", "digits", "--out", "o", "--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_wrong_words_are_refused(words: list[str], says: str) -> None:
    """Each wrong setting is named in one line."""
    with pytest.raises(InputError) as refused:
        main(words)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_second_time_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there already is returned, and no file is touched."""
    first = prepare("digits", str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    def forbidden(uri: str, content: bytes) -> None:
        raise AssertionError(f"{len(content)} bytes written to {uri}")

    monkeypatch.setattr(store, "write", forbidden)
    assert prepare("digits", str(tmp_path)) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_write_cut_short_leaves_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it dies, there is no index to be read; the next attempt completes it."""
    whole = prepare("digits", str(tmp_path / "whole"))
    real = store.write
    for survives in range(3):
        calls = 0

        def dies(uri: str, content: bytes, survives: int = survives) -> None:
            nonlocal calls
            calls += 1
            if calls > survives:
                raise OSError("no space left on device")
            real(uri, content)

        monkeypatch.setattr(store, "write", dies)
        with pytest.raises(OSError, match="no space left"):
            prepare("digits", str(tmp_path / "torn"))
        assert len(list(tmp_path.glob("torn/**/*.zst"))) == survives
        assert not list(tmp_path.glob("torn/**/index.json"))
    monkeypatch.setattr(store, "write", real)
    assert prepare("digits", str(tmp_path / "torn")) == whole


def test_shards_stay_below_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are cut into shards of the size that is set, all of them, in order."""
    monkeypatch.setattr(write, "SHARD_BYTES", 5000)
    index = prepare("digits", str(tmp_path))
    shards = index.splits["train"].shards
    assert len(shards) > 10
    assert max(shard.raw_bytes for shard in shards) <= 5000 + 80
    assert [shard.file for shard in shards] == [f"train-{n:05d}.zst" for n in range(len(shards))]


def test_settings_make_another_version(tmp_path: Path) -> None:
    """The same source read in another way is another data set, and lies beside the first."""
    folder = write_folder(tmp_path / "My Photos (2)", {"a": 3, "b": 3})
    one = prepare(f"images:{folder}", str(tmp_path / "out"))
    two = prepare(f"images:{folder}", str(tmp_path / "out"), SourceOptions(image_size=8))
    assert one.dataset == two.dataset == "my-photos-2"
    assert one.version != two.version
    assert len(list((tmp_path / "out" / "my-photos-2").iterdir())) == 2


def test_a_source_may_be_a_file_uri(tmp_path: Path) -> None:
    """`images:file:///…` is the folder."""
    folder = write_folder(tmp_path / "photos", {"a": 3, "b": 3})
    out = str(tmp_path / "out")
    assert prepare(f"images:{folder.as_uri()}", out) == prepare(f"images:{folder}", out)
    assert parse_source("text:s3://bucket/a:b.csv") == ("text", "s3://bucket/a:b.csv")


def test_nothing_is_written_into_the_source(tmp_path: Path) -> None:
    """Shards in the folder of photographs would be taken for a class the next time."""
    folder = write_folder(tmp_path / "photos", {"a": 3, "b": 3})
    for out in (folder, tmp_path):  # below the second, the data set would be called `photos` like the source
        with pytest.raises(InputError, match="--out must lead elsewhere than into the source"):
            prepare(f"images:{folder}", str(out))
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
