"""Archives are reproducible; releases are content-addressed, signed, immutable; the pointer moves by consent only."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from model_code import store
from model_code.archive import pack_mar
from model_code.card import model_card
from model_code.errors import InputError, RunFailedError
from model_code.pointer import Pointer, abort, move_pointer, pointer_uri, read_pointer
from model_code.release import publish, releases, rollback, version_of
from model_code.signing import canonical, ensure_key_pair, public_pem, sign, verified

REPORT: dict[str, Any] = {
    "format": 1,
    "run_id": "run-1",
    "name": "resnet-digits",
    "family": "resnet",
    "dataset": {"dataset": "digits", "version": "v0", "test_samples": 360},
    "metric_name": "accuracy",
    "required_ratio": 0.99,
    "baseline": {
        "metric": 0.99,
        "size_bytes": 4_000_000,
        "latency_ms_batch1": 2.0,
        "latency_ms_serving_batch": 8.0,
    },
    "candidates": [
        {
            "name": "prune-50",
            "metric": 0.985,
            "ratio": 0.9949,
            "size_bytes": 900_000,
            "latency_ms_batch1": 0.5,
            "latency_ms_serving_batch": 2.0,
        }
    ],
    "chosen": "prune-50",
    "passed": True,
    "machine": {"date": "2026-11-23"},
}


@pytest.fixture
def serve_files(tmp_path: Path) -> Path:
    """A serving room's folder, as small as packing allows."""
    folder = tmp_path / "serve"
    folder.mkdir()
    for name in ("handler.py", "predictor.py", "model-config.yaml"):
        (folder / name).write_text(f"# {name}\n")
    return folder


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """An artifact folder."""
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "model.json").write_text('{"format":1}')
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 100)
    return folder


@pytest.fixture
def run(tmp_path: Path, artifact: Path, serve_files: Path) -> Path:
    """A run that the gate let through."""
    return make_run(tmp_path / "run", artifact, serve_files, "run-1")


def make_run(folder: Path, artifact: Path, serve_files: Path, run_id: str) -> Path:
    """Write what the compress stage leaves behind."""
    candidate = folder / "candidates" / "prune-50"
    (candidate / "artifact").mkdir(parents=True)
    (candidate / "artifact" / "model.json").write_text('{"format":1}')
    (candidate / "model.safetensors").write_bytes(b"weights")
    digest = pack_mar(
        name="resnet-digits", artifact=artifact, serve_files=serve_files, out=candidate / "model.mar"
    )
    (folder / "report.json").write_text(json.dumps({**REPORT, "run_id": run_id, "mar_sha256": digest}))
    (folder / "report.html").write_text("<html></html>")
    return folder


def test_the_same_files_make_the_same_archive(artifact: Path, serve_files: Path, tmp_path: Path) -> None:
    """Two packings are equal byte by byte; a changed byte of any file changes hash and version."""
    first = pack_mar(name="m", artifact=artifact, serve_files=serve_files, out=tmp_path / "1.mar")
    again = pack_mar(name="m", artifact=artifact, serve_files=serve_files, out=tmp_path / "2.mar")
    assert (tmp_path / "1.mar").read_bytes() == (tmp_path / "2.mar").read_bytes()
    (serve_files / "predictor.py").write_text("# other\n")
    other = pack_mar(name="m", artifact=artifact, serve_files=serve_files, out=tmp_path / "3.mar")
    assert first == again != other
    versions = []
    for name in ("1.mar", "3.mar"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
            assert manifest["model"]["handler"] == "handler.py"
            versions.append(manifest["model"]["modelVersion"])
    assert versions[0] != versions[1]


def test_an_artifact_cannot_replace_the_serving_code(
    artifact: Path, serve_files: Path, tmp_path: Path
) -> None:
    """A file named as the handler is refused, and so is an artifact without model.json."""
    (artifact / "handler.py").write_text("evil")
    with pytest.raises(InputError, match="must not hold files named as the serving code"):
        pack_mar(name="m", artifact=artifact, serve_files=serve_files, out=tmp_path / "1.mar")
    (artifact / "handler.py").unlink()
    (artifact / "model.json").unlink()
    with pytest.raises(InputError, match=r"must hold a model\.json"):
        pack_mar(name="m", artifact=artifact, serve_files=serve_files, out=tmp_path / "1.mar")
    assert not (tmp_path / "1.mar").exists()


def test_a_signature_is_of_one_key_and_one_statement(tmp_path: Path) -> None:
    """Another key, another value or a key file that everybody reads: all noticed."""
    key, other = ensure_key_pair(tmp_path / "a"), ensure_key_pair(tmp_path / "b")
    signature = sign({"a": 1}, key)
    assert verified({"a": 1}, signature, public_pem(key))
    assert not verified({"a": 2}, signature, public_pem(key))
    assert not verified({"a": 1}, signature, public_pem(other))
    assert key.stat().st_mode & 0o077 == 0
    assert ensure_key_pair(tmp_path / "a").read_bytes() == key.read_bytes()


def test_canonical_json_has_one_spelling() -> None:
    """Key order and spaces do not count."""
    assert canonical({"b": [1, "ü"], "a": None}) == b'{"a":null,"b":[1,"\\u00fc"]}'


def test_a_release_is_complete_signed_and_pointed_at(run: Path, tmp_path: Path) -> None:
    """Every file is in the manifest by hash, the version is the hash of that list, the statement is signed."""
    key, models = ensure_key_pair(tmp_path / "keys"), str(tmp_path / "models")
    release, pointer = publish(str(run), models, key)
    folder = Path(models) / "resnet-digits" / release.version
    manifest = json.loads((folder / "manifest.json").read_text())
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*manifest["files"], "manifest.json", "manifest.sig"]
    )
    assert release.version == version_of(manifest["files"])
    for name, facts in manifest["files"].items():
        assert (store.sha256_file(folder / name), (folder / name).stat().st_size) == (
            facts["sha256"],
            facts["bytes"],
        )
    signed = json.loads((folder / "manifest.sig").read_text())
    assert verified(signed["statement"], signed["signature"], public_pem(key))
    assert signed["statement"]["manifest_sha256"] == store.sha256_file(folder / "manifest.json")
    assert pointer == Pointer(name="resnet-digits", version=release.version, counter=1)
    assert "`prune-50`" in (folder / "card.md").read_text()


def test_publishing_twice_changes_nothing(run: Path, tmp_path: Path) -> None:
    """The same run again is the same version, files untouched, pointer where it was."""
    key, models = ensure_key_pair(tmp_path / "keys"), str(tmp_path / "models")
    first, _ = publish(str(run), models, key)
    before = {p: p.stat().st_mtime_ns for p in Path(models).rglob("*")}
    second, pointer = publish(str(run), models, key)
    assert (first, pointer.counter) == (second, 1)
    assert {p: p.stat().st_mtime_ns for p in Path(models).rglob("*")} == before


def test_a_refused_run_publishes_nothing(run: Path, tmp_path: Path) -> None:
    """No passing report, a report about another archive, no report at all: nothing is written."""
    key, models = ensure_key_pair(tmp_path / "keys"), tmp_path / "models"
    report = json.loads((run / "report.json").read_text())
    (run / "report.json").write_text(json.dumps({**report, "passed": False, "chosen": None}))
    with pytest.raises(RunFailedError, match="the gate refused run run-1"):
        publish(str(run), str(models), key)
    (run / "report.json").write_text(json.dumps({**report, "mar_sha256": "0" * 64}))
    with pytest.raises(RunFailedError, match="the report is about another archive"):
        publish(str(run), str(models), key)
    (run / "report.json").unlink()
    with pytest.raises(InputError, match="run `skylift compress"):
        publish(str(run), str(models), key)
    assert not models.exists()


def test_rollback_is_a_new_pointer_to_an_old_version(
    run: Path, tmp_path: Path, artifact: Path, serve_files: Path
) -> None:
    """The counter rises at every move, in both directions, and the list of releases marks the served one."""
    key, models = ensure_key_pair(tmp_path / "keys"), str(tmp_path / "models")
    first, _ = publish(str(run), models, key)
    (artifact / "model.onnx").write_bytes(b"better")
    second, _ = publish(str(make_run(tmp_path / "run2", artifact, serve_files, "run-2")), models, key)
    back = rollback(models, "resnet-digits", key)
    assert (back.version, back.counter, back.previous) == (first.version, 3, (second.version,))
    forth = rollback(models, "resnet-digits", key, second.version)
    assert (forth.version, forth.counter, forth.previous) == (second.version, 4, (first.version,))
    listed = releases(models, public_pem(key))
    assert [(row["version"], row["current"]) for row in listed] == [
        (second.version, True),
        (first.version, False),
    ]


def test_an_open_rollout_is_listed(run: Path, tmp_path: Path, artifact: Path, serve_files: Path) -> None:
    """Published to a share of the nodes, both versions are listed with theirs; after the end one has all."""
    key, models = ensure_key_pair(tmp_path / "keys"), str(tmp_path / "models")
    first, _ = publish(str(run), models, key)
    (artifact / "model.onnx").write_bytes(b"better")
    better = make_run(tmp_path / "run2", artifact, serve_files, "run-2")
    second, pointer = publish(str(better), models, key, 10)
    assert (pointer.percentage, publish(str(better), models, key)[1]) == (10, pointer)
    for share, end in ((10, None), (0, abort)):
        if end:
            end(models, "resnet-digits", key)
        listed = {row["version"]: row["percentage"] for row in releases(models, public_pem(key))}
        assert listed == {second.version: share, first.version: 100 - share}


def test_rollback_refuses_what_is_missing_or_changed(run: Path, tmp_path: Path) -> None:
    """No earlier release, an unknown version, a changed manifest: the pointer stays."""
    key, models = ensure_key_pair(tmp_path / "keys"), str(tmp_path / "models")
    release, _ = publish(str(run), models, key)
    with pytest.raises(InputError, match="has no earlier release"):
        rollback(models, "resnet-digits", key)
    with pytest.raises(InputError, match="has no release `nope`"):
        rollback(models, "resnet-digits", key, "nope")
    manifest = Path(models) / "resnet-digits" / release.version / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"bytes":7', b'"bytes":8'))
    with pytest.raises(RunFailedError, match="is not what was signed"):
        rollback(models, "resnet-digits", key, release.version)


def test_a_pointer_of_another_key_is_refused(tmp_path: Path) -> None:
    """Nobody without the key can move the pointer, nor slip in a higher counter."""
    models = str(tmp_path / "models")
    key, other = ensure_key_pair(tmp_path / "a"), ensure_key_pair(tmp_path / "b")
    move_pointer(models, "m", "v1", key)
    with pytest.raises(RunFailedError, match="is not signed by this key"):
        move_pointer(models, "m", "v2", other)
    path = store.local_path(pointer_uri(models, "m"))
    assert path is not None
    path.write_text(path.read_text().replace('"counter": 1', '"counter": 9'))
    with pytest.raises(RunFailedError, match="is not signed by this key"):
        read_pointer(models, "m", public_pem(key))


def test_of_two_publishers_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pointer moved between reading and writing: the later one fails and changes nothing."""
    models, key = str(tmp_path / "models"), ensure_key_pair(tmp_path / "keys")
    move_pointer(models, "m", "v1", key)
    read = read_pointer(models, "m", public_pem(key))
    move_pointer(models, "m", "v2", key)
    monkeypatch.setattr("model_code.pointer.read_pointer", lambda *_: read)
    with pytest.raises(RunFailedError, match="another publisher moved"):
        move_pointer(models, "m", "v3", key)
    monkeypatch.undo()
    now = read_pointer(models, "m", public_pem(key))
    assert now is not None
    assert now[0].version == "v2"


def test_releases_live_in_a_bucket_as_well(run: Path, tmp_path: Path, bucket: str) -> None:
    """Publish and roll back against (emulated) S3: the same code, the same promises."""
    key = ensure_key_pair(tmp_path / "keys")
    release, pointer = publish(str(run), f"{bucket}/models", key)
    assert store.exists(f"{bucket}/models/resnet-digits/{release.version}/manifest.json")
    assert pointer.counter == 1
    assert publish(str(run), f"{bucket}/models", key)[1] == pointer


def test_the_card_tells_both_sides() -> None:
    """The card quotes baseline and release, as the report has them."""
    card = model_card(REPORT)
    assert "| accuracy on 360 held-out samples | 0.9900 | 0.9850 |" in card
    assert "| archive, bytes | 4,000,000 | 900,000 |" in card
