"""The serving room's files come by their hash, or not at all."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from model_code import store
from model_code.errors import InputError, RunFailedError
from model_code.serve_bundle import fetch_serve_files


def bundle(folder: Path, *names: str) -> tuple[str, str]:
    """Write a zip with some files; return URI and SHA-256."""
    path = folder / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, f"# {name}\n")
    return path.as_uri(), store.sha256_file(path)


def test_the_folder_that_is_packed_is_found(tmp_path: Path) -> None:
    """With all that the bundle holds of it."""
    uri, digest = bundle(tmp_path, "serve_config/predictor.py", "serve_config/handler.py", "pyproject.toml")
    files = fetch_serve_files(uri, digest, tmp_path / "into")
    assert files == tmp_path / "into" / "serve_config"
    assert sorted(path.name for path in files.iterdir()) == ["handler.py", "predictor.py"]


def test_another_bundle_is_not_unpacked(tmp_path: Path) -> None:
    """Whoever can write the bucket cannot change what is released."""
    uri, _ = bundle(tmp_path, "serve_config/predictor.py")
    with pytest.raises(RunFailedError, match=f"not {'0' * 64}: nothing of it is used"):
        fetch_serve_files(uri, "0" * 64, tmp_path / "into")
    assert [path.name for path in (tmp_path / "into").iterdir()] == ["serve.zip"]


def test_a_missing_bundle_and_one_without_the_room_are_named(tmp_path: Path) -> None:
    """Each with what to do."""
    with pytest.raises(RunFailedError, match="is missing; run `pulumi up`"):
        fetch_serve_files((tmp_path / "none.zip").as_uri(), "0" * 64, tmp_path / "into")
    uri, digest = bundle(tmp_path, "model_code/predict.py")
    with pytest.raises(InputError, match=r"serve bundle must hold serve_config/predictor\.py"):
        fetch_serve_files(uri, digest, tmp_path / "into")


def test_names_that_lead_elsewhere_stay_below_the_folder(tmp_path: Path) -> None:
    """Even of a bundle whose hash is right."""
    uri, digest = bundle(tmp_path, "serve_config/predictor.py", "../../outside.py")
    fetch_serve_files(uri, digest, tmp_path / "deep" / "into")
    assert not (tmp_path / "outside.py").exists()
    assert (tmp_path / "deep" / "into" / "outside.py").is_file()
