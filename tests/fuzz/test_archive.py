"""An archive is unpacked whole or not at all, and never outside its folder or beyond the disk."""

from __future__ import annotations

import functools
import io
import json
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from model_code.errors import InputError
from model_code.packaged import load_packaged
from serve_config.contents import archive_version, check_model
from serve_config.errors import ServeFailedError
from tests.fuzz.strategies import MEGABYTES, altered, damaged, folder, hostile, json_values, refusal
from tests.serving import image_facts

MANIFEST = {"model": {"modelName": "tiny", "modelVersion": "abc123"}}
GOLDEN = {"content_type": "image/png", "body": "YQ==", "answer": {"label": "1"}}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of some files, whatever their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


@functools.cache
def right(method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive as it should be, its predictor as small as can be."""
    return zipped(
        {
            "MAR-INF/MANIFEST.json": json.dumps(MANIFEST).encode(),
            "predictor.py": b"def load(folder, *, device, threads):\n    return (device, threads)\n"
            + b"#" * 300,
            "model.json": b"{}",
        },
        method,
    )


def version_of(content: bytes) -> str:
    """Return an archive's version."""
    with folder() as place:
        (place / "model.mar").write_bytes(content)
        return archive_version(place / "model.mar", "tiny")


def unpacked(content: bytes, place: Path) -> object:
    """Load an archive as a training node does; what it imported is forgotten again."""
    (place / "model.mar").write_bytes(content)
    path = list(sys.path)
    try:
        return load_packaged(place / "model.mar", place / "unpacked")
    finally:
        sys.modules.pop("predictor", None)
        sys.path[:] = path


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def encrypted() -> bytes:
    """Return an archive whose entries say that they are encrypted."""
    content = bytearray(right())
    for mark, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flag] |= 1
            at = content.find(mark, at + 4)
    return bytes(content)


@given(st.sampled_from(METHODS).flatmap(lambda method: damaged(right(method))) | hostile)
@example(encrypted())
@example(b"")
@example(right()[:-30])
def test_a_damaged_archive_is_refused_or_says_what_it_said(content: bytes) -> None:
    """The node's look at an archive ends in its version or in one line."""
    if refusal(lambda: version_of(content), ServeFailedError) is None:
        assert version_of(content) == "abc123" or b"abc123" not in content


@given(altered(MANIFEST) | json_values)
@example([])
@example({"model": []})
@example({"model": {"modelName": "tiny", "modelVersion": 3}})
@example({"model": {"modelName": "tiny", "modelVersion": "../../x"}})
@example({"model": {"modelName": "tiny", "modelVersion": MEGABYTES}})
@example({"model": {"modelName": MEGABYTES, "modelVersion": "1"}})
def test_a_manifest_that_is_none_is_refused(manifest: object) -> None:
    """Another type, another model, a version that would be a path: one line."""
    assume(manifest != MANIFEST)
    content = zipped({"MAR-INF/MANIFEST.json": json.dumps(manifest).encode()})
    if refusal(lambda: version_of(content), ServeFailedError) is None:
        assert "/" not in version_of(content)


def test_a_manifest_that_is_a_bomb_is_not_unpacked() -> None:
    """64 MB of spaces in 64 KB: refused by the size that it claims."""
    content = zipped({"MAR-INF/MANIFEST.json": b" " * (64 << 20)})
    assert len(content) < 1 << 20
    assert "67108864 bytes" in (refusal(lambda: version_of(content), ServeFailedError) or "")


@given(damaged(right()))
@example(encrypted())
@example(b"no zip")
def test_a_damaged_archive_leaves_nothing(content: bytes) -> None:
    """Refused: the folder is gone. Taken: its code is the code that was packed, or the accident hit no file of it."""
    with folder() as place:
        code_of = lambda: unpacked(content, place)  # noqa: E731
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("model_code.packaged.importlib.import_module", lambda _: _Loaded())
            said = refusal(code_of, InputError)
        if said is not None:
            assert not (place / "unpacked").exists()
        elif (place / "unpacked" / "predictor.py").exists():
            with zipfile.ZipFile(io.BytesIO(right())) as archive:
                assert (place / "unpacked" / "predictor.py").read_bytes() == archive.read("predictor.py")


class _Loaded:
    """Stands for the module: damaged code is not run."""

    def load(self, *_: object, **__: object) -> str:
        """Return anything."""
        return "loaded"


names = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.sampled_from(
        ["../x", "a/../../x", "/etc/x", "..", "a/b/../../../x", "..\\x", "C:/x", "x" * 300, "./x", "a//b"]
    ),
)


@given(st.dictionaries(names, st.binary(max_size=8), max_size=4))
@example({"../x": b"1"})
@example({"/skylift-escaped": b"1"})
@example({"a": b"1", "a/b": b"2"})
@example({"x" * 300: b"1"})
def test_no_name_leads_out_of_the_folder(files: dict[str, bytes]) -> None:
    """Whatever an archive calls its files, nothing appears beside its folder."""
    with folder() as place:
        content = zipped({"predictor.py": b"def load(*_, **__): return 1\n", **files})
        (place / "in").mkdir()
        said = refusal(lambda: unpacked(content, place / "in"), InputError)
        assert {path.name for path in place.iterdir()} == {"in"}
        left = {path.name for path in (place / "in").iterdir()}
        assert left == ({"model.mar", "unpacked"} if said is None else {"model.mar"})
        assert not Path("/skylift-escaped").exists()
        if any(".." in name.split("/") and Path(place / name).resolve().parent == place for name in files):
            assert said is not None


def test_an_archive_larger_than_the_disk_is_not_begun() -> None:
    """A zip may claim any size: what cannot fit is refused before the first byte is written."""
    content = bytearray(right(zipfile.ZIP_STORED))
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    with folder() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr("model_code.packaged.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1 << 20}))
        said = refusal(lambda: unpacked(bytes(content), place), InputError)
        assert said is not None
        assert "the disk has 1048576" in said
        assert not (place / "unpacked").exists()


def test_an_archive_as_it_should_be_is_loaded() -> None:
    """The same code refuses none that is right."""
    with folder() as place:
        assert unpacked(right(), place) == ("cpu", 1)
    assert version_of(right()) == "abc123"


MODEL = image_facts(golden=[GOLDEN])


@given(altered(MODEL))
@example({**MODEL, "golden": [{"body": "é"}]})
@example({**MODEL, "golden": [{**GOLDEN, "body": "a"}]})
@example({**MODEL, "golden": 3})
@example({**MODEL, "image": []})
def test_a_model_json_is_whole_or_refused(model: object) -> None:
    """What is accepted can be described and proven: no later step trips over a missing field."""
    from serve_config.describe import metadata
    from serve_config.golden import golden_requests
    from serve_config.verify import Release

    assume(isinstance(model, dict))
    assert isinstance(model, dict)
    if refusal(lambda: check_model(model, "model.json"), ServeFailedError) is None:
        release = Release(name="n", version="v", archive=Path("x"), archive_version="1", model=model)
        said = metadata(release)
        assert (said["platform"], said["task"], said["classes"]) == (
            model["runtime"],
            model["task"],
            model["classes"],
        )
        assert said["inputs"][0]["shape"]
        assert all(isinstance(one.body, bytes) for one in golden_requests(model))
