"""Batch prediction: proven before it runs, cut into ranges, never mixed, gathered in input order, the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from model_code import store
from model_code.batch import Batch, answered, job_key
from model_code.data.index import load_index
from model_code.data.read import ShardReader
from model_code.errors import RunFailedError
from model_code.parts import Part, Parts, sealed, unsealed
from model_code.released import Released
from model_code.samples import SampleRequest, sample_requests
from tests import serving
from tests.data_sets import ids_of, write_blocks
from tests.faults.batches import RANGES, failed, parts_of, place, result_of, start

PART = Part(lines=b'{"id": "1"}\n{"id": "2"}\n', samples=2, correct=1)


def test_ranges_cover_a_split_once() -> None:
    """Whatever the size, the ranges are contiguous, in order, and end with the last sample."""
    for samples in (0, 1, 255, 256, 257, 1000):
        for size in (1, 7, 256):
            parts = Parts("file:///o", "job", samples, size)
            bounds = [parts.bounds(number) for number in range(len(parts))]
            assert [n for first, last in bounds for n in range(first, last)] == list(range(samples))
            assert sorted(map(parts.name, range(len(parts)))) == list(map(parts.name, range(len(parts))))


def test_any_changed_byte_of_a_part_is_seen() -> None:
    """Each single bit of a part, its counts included, and each cut."""
    content = sealed(PART)
    assert unsealed(content) == PART
    for place_of in range(len(content)):
        changed = bytearray(content)
        changed[place_of] ^= 1
        assert unsealed(bytes(changed)) is None, place_of
        assert unsealed(content[:place_of]) is None


def test_the_parts_of_another_job_are_not_seen_and_stay(tmp_path: Path) -> None:
    """Two jobs with one output: neither reads nor clears the other's parts."""
    out = (tmp_path / "out.jsonl").as_uri()
    one, other = (Parts(out, job, 4, 2) for job in ("one", "other"))
    one.write(0, PART)
    other.write(1, PART)
    said: list[str] = []
    assert (one.read(0, said.append), one.read(1, said.append)) == (PART, None)
    one.clear()
    assert other.read(1, said.append) == PART
    other.clear()
    assert list(tmp_path.iterdir()) == []
    assert said == []


def test_a_cleared_folder_does_not_lose_a_part(tmp_path: Path) -> None:
    """Another job of the key ended meanwhile: the next part is written all the same."""
    parts = Parts((tmp_path / "out.jsonl").as_uri(), "job", 4, 2)
    parts.write(0, PART)
    parts.clear()
    parts.write(1, PART)
    assert parts.read(1, print) == PART


def test_the_key_knows_all_that_decides_the_bytes() -> None:
    """Another release, data version, split, range, threads or kind of device is another job; another GPU is none."""
    asked = Batch(release="r", public_key=Path("k"), data="d", out="o")
    release = Released(name="m", version="1", uri="r", mar_sha256="0")
    keys = [
        job_key(asked, release, "data", "cuda:0"),
        job_key(asked, replace(release, version="2"), "data", "cuda:0"),
        job_key(asked, release, "other", "cuda:0"),
        job_key(asked, release, "data", "cpu"),
        job_key(replace(asked, split="train"), release, "data", "cuda:0"),
        job_key(replace(asked, range_size=8), release, "data", "cuda:0"),
        job_key(replace(asked, threads=2), release, "data", "cuda:0"),
    ]
    assert len(set(keys)) == len(keys)
    assert job_key(replace(asked, out="p", keep_parts=True), release, "data", "cuda:1") == keys[0]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_reader_gives_any_range(tmp_path: Path, size: int) -> None:
    """Ranges that cross shards, begin and end inside one, or are empty."""
    write_blocks(tmp_path, 50, per_shard=12)
    reader = ShardReader(str(tmp_path), "train")
    for first, last in ((0, 50), (3, 9), (11, 13), (12, 24), (20, 50), (49, 50)):
        assert ids_of(reader.between(first, last, size)).tolist() == list(range(first, last))
    assert list(reader.between(5, 5, size)) == []


class Counting:
    """A predictor that notes its batches and refuses a body."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def answer(self, requests: list[tuple[bytes, str]]) -> list[tuple[int, dict[str, object]]]:
        """Answer with the body's own text."""
        self.batches.append(len(requests))
        return [(400 if body == b"bad" else 200, {"label": body.decode()}) for body, _ in requests]


def test_batches_begin_with_the_range_and_answers_are_counted() -> None:
    """Eight at a time from the range's first sample: whoever makes it makes the same batches."""
    requests = [
        SampleRequest(id=str(n), body=str(n % 2).encode(), content_type="text/plain", truth="1")
        for n in range(20)
    ]
    predictor = Counting()
    part = answered(predictor, iter(requests))
    assert predictor.batches == [8, 8, 4]
    assert (part.samples, part.correct) == (20, 10)
    assert [json.loads(line)["id"] for line in part.lines.splitlines()] == [str(n) for n in range(20)]
    bad = SampleRequest(id="x", body=b"bad", content_type="text/plain", truth=None)
    with pytest.raises(RunFailedError, match="refused sample x: 400"):
        answered(predictor, iter([bad]))


def test_the_output_is_every_sample_in_stored_order(tmp_path: Path) -> None:
    """The lines are the requests of the split, one after the other, with right answers counted."""
    at = place()
    lines = [json.loads(line) for line in at.answers.splitlines()]
    reader = ShardReader(at.data, "train")
    requests = list(sample_requests(reader, load_index(at.data), at.data))
    assert [line["id"] for line in lines] == [request.id for request in requests]
    result = result_of(start(at, tmp_path / "out.jsonl", ranks=0))
    right = sum(line["truth"] == line["answer"]["label"] for line in lines)
    assert (result["samples"], result["correct"]) == (len(lines), right)
    assert 0 < right < len(lines)


def test_a_finished_job_returns_at_once_and_an_altered_output_is_made_again(tmp_path: Path) -> None:
    """Nothing is loaded the second time; a changed byte in the output is found."""
    at, out = place(), tmp_path / "out.jsonl"
    first = result_of(start(at, out, ranks=0))
    written = out.stat().st_mtime_ns
    again = result_of(start(at, out, ranks=0))
    assert (again["redone"], again["reused"], out.stat().st_mtime_ns) == (0, RANGES, written)
    assert {key: again[key] for key in ("samples", "correct", "sha256")} == {
        key: first[key] for key in ("samples", "correct", "sha256")
    }
    out.write_bytes(at.answers.replace(b'"label": "1"', b'"label": "2"', 1))
    mended = result_of(start(at, out, ranks=0))
    assert mended["redone"] == RANGES
    assert "was altered since this job wrote it" in mended["said"]
    assert out.read_bytes() == at.answers


def test_a_refused_release_runs_nothing(tmp_path: Path) -> None:
    """Another key, a changed manifest, a changed archive, a version moved to another's place: exit 1, one line."""
    at = place()
    stranger = serving.new_signer().write_public(tmp_path / "stranger.pem")
    cases: dict[str, tuple[list[str], str]] = {
        "key": (["--public-key", str(stranger)], "is not what was signed"),
        "pointer": (
            ["--release", str(at.models / "tiny"), "--public-key", str(stranger)],
            "is not signed by",
        ),
    }
    for name, file, said in (
        ("archive", "model.mar", "is not the archive in its signed manifest"),
        ("manifest", "manifest.json", "is not what was signed"),
        ("moved", "", "is not what was signed"),
    ):
        version = "0" * 16 if name == "moved" else at.release.name
        folder = tmp_path / name / "tiny" / version
        folder.mkdir(parents=True)
        for path in at.release.iterdir():
            content = path.read_bytes()
            (folder / path.name).write_bytes(content + b" " if path.name == file else content)
        cases[name] = (["--release", str(folder)], said)
    for name, (options, expected) in cases.items():
        process = start(at, tmp_path / f"{name}.jsonl", ranks=0, options=options)
        code, lines = failed(process)
        assert (code, len(lines)) == (1, 1), lines
        assert expected in lines[0]
        assert not (tmp_path / f"{name}.jsonl").exists()
        assert not parts_of(tmp_path / f"{name}.jsonl")


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    """No such release, split or key, a range of nothing, a folder for a file."""
    at = place()
    for options, expected in (
        (["--release", str(at.models / "tiny" / "none")], "release must be a published version"),
        (["--split", "tset"], "unknown split `tset`; did you mean `test`?"),
        (["--public-key", str(tmp_path)], "--public-key must be a PEM file"),
        (["--range", "0"], "--range must be 1 or more, got 0"),
        (["--out", str(tmp_path)], "--out must be a file"),
    ):
        code, lines = failed(start(at, tmp_path / "out.jsonl", ranks=0, options=options))
        assert (code, len(lines)) == (2, 1), lines
        assert expected in lines[0]


def test_a_job_lives_in_a_bucket_too(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Release, data, parts and output on s3://: a damaged part alone is redone, and the parts are gone at the end."""
    at, out = place(), f"{bucket}/answers/out.jsonl"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shards = store.local_path(at.data)
    assert shards
    release = f"models/tiny/{at.release.name}"
    for folder, into in ((shards, "data"), (at.release, release)):
        for path in folder.iterdir():
            store.upload(path, f"{bucket}/{into}/{path.name}")
    remote = ["--data", f"{bucket}/data", "--release", f"{bucket}/{release}"]
    result_of(start(at, out, ranks=0, options=[*remote, "--keep-parts"]))
    (job,) = store.names(f"{out}.parts")
    names = store.names(f"{out}.parts/{job}")
    assert len(names) == RANGES
    store.write(f"{out}.parts/{job}/{names[5]}", store.read(f"{out}.parts/{job}/{names[5]}")[:-1])
    store.delete(out)
    result = result_of(start(at, out, ranks=0, options=remote))
    assert (result["redone"], result["out"]) == (1, out)
    assert store.read(out) == at.answers
    assert store.names(f"{bucket}/answers") == ["out.jsonl", "out.jsonl.job.json"]


def test_skylift_predicts_a_data_set_with_the_current_release(tmp_path: Path) -> None:
    """`skylift predict --batch`: two ranks under torchrun, the pointer's version, one JSON object on stdout."""
    at, where = place(), tmp_path / "out"
    (where / "keys").mkdir(parents=True)
    (where / "keys" / "signing.pub.pem").write_bytes(at.key.read_bytes())
    (where / "models").symlink_to(at.models)
    words = ["predict", "--batch", str(store.local_path(at.data)), "--name", "tiny", "--split", "train"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("skylift")), *words, "--out", str(where), "--nproc", "2"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["ranks"], result["version"]) == (2, at.release.name)
    assert result["out"].startswith(f"{where}/predictions/tiny/{at.release.name}-")
    assert Path(result["out"]).read_bytes() == at.answers
