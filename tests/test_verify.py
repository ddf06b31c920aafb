"""Nothing that was not signed, by this key, for this very release, is ever loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from model_code.release import version_of
from model_code.signing import canonical as signers_canonical
from serve_config.errors import InputError, ServeFailedError
from serve_config.verify import canonical, fetch_release, load_public_key, read_pointer
from tests.serving import NAME, Signer, new_signer, point, publish, write_artifact, write_signed


@dataclass(frozen=True)
class Store:
    """A model store with one release."""

    models: Path
    """Its folder."""
    release: Path
    """The release's folder."""
    signer: Signer
    """Who signed it."""

    @property
    def pointer(self) -> Path:
        """The pointer's file."""
        return self.models / NAME / "current.json"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A model store with one release."""
    folder, signer = tmp_path_factory.mktemp("verify"), new_signer()
    release = publish(folder / "models", write_artifact(folder / "artifact"), signer)
    return Store(folder / "models", release, signer)


@pytest.fixture
def copy(pristine: Store, tmp_path: Path) -> Store:
    """The same store, to be tampered with."""
    models = tmp_path / "models"
    shutil.copytree(pristine.models, models)
    return Store(models, models / pristine.release.relative_to(pristine.models), pristine.signer)


def verify(store: Store, folder: Path, *, key: Signer | None = None, least: int = 0) -> str:
    """Verify the store as a node does, and return the version."""
    public = (key or store.signer).key.public_key()
    pointer = read_pointer(store.models.as_uri(), NAME, public, least)
    return fetch_release(store.models.as_uri(), pointer, public, folder / "fetched").version


def test_a_signed_release_is_fetched(pristine: Store, tmp_path: Path) -> None:
    """What was signed is accepted, and only what is served is on the disk."""
    assert verify(pristine, tmp_path) == pristine.release.name
    fetched = tmp_path / "fetched"
    assert sorted(p.name for p in fetched.iterdir()) == ["model.json", "model.mar", "report.json"]
    assert (fetched / "model.mar").read_bytes() == (pristine.release / "model.mar").read_bytes()
    assert read_pointer(str(pristine.models), NAME, pristine.signer.key.public_key(), 1).counter == 1


def edit(path: Path) -> None:
    """Change a file's last byte."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def resign(store: Store, **changes: object) -> None:
    """Sign the release's statement anew with changed fields."""
    path = store.release / "manifest.sig"
    statement = json.loads(path.read_text())["statement"] | changes
    write_signed(path, "statement", statement, store.signer)


def rewritten(store: Store, name: str, content: bytes) -> None:
    """Replace a file and make the manifest and its signature fit, but not the version."""
    (store.release / name).write_bytes(content)
    manifest = json.loads((store.release / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (store.release / "manifest.json").write_bytes(canonical(manifest))
    resign(store, manifest_sha256=hashlib.sha256(canonical(manifest)).hexdigest())


def replaced(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes that must be there."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


UNSIGNED = "not signed by the given key"
TAMPERINGS: dict[str, tuple[Callable[[Store], object], str]] = {
    "archive": (lambda x: edit(x.release / "model.mar"), "model.mar has SHA-256"),
    "golden answers": (lambda x: edit(x.release / "model.json"), "model.json has SHA-256"),
    "report": (lambda x: edit(x.release / "report.json"), "report.json has SHA-256"),
    "missing archive": (lambda x: (x.release / "model.mar").unlink(), "is missing"),
    "missing signature": (lambda x: (x.release / "manifest.sig").unlink(), "is missing"),
    "missing manifest": (lambda x: (x.release / "manifest.json").unlink(), "is missing"),
    "manifest": (
        lambda x: replaced(x.release / "manifest.json", b'"format":1', b'"format":2'),
        "manifest_sha256",
    ),
    "statement": (lambda x: replaced(x.release / "manifest.sig", b'"r1"', b'"r2"'), UNSIGNED),
    "statement of another version": (lambda x: resign(x, version="0" * 16), "signed with version"),
    "statement of another model": (lambda x: resign(x, name="other"), "signed with name"),
    "statement by another key": (lambda x: resign(replace(x, signer=new_signer())), UNSIGNED),
    "files of another version": (lambda x: rewritten(x, "model.mar", b"x"), "another version"),
    "pointer by another key": (lambda x: point(x.models, x.release.name, new_signer(), counter=9), UNSIGNED),
    "pointer's counter": (lambda x: replaced(x.pointer, b'"counter": 1', b'"counter": 9'), UNSIGNED),
    "pointer of another model": (
        lambda x: point(x.models, x.release.name, x.signer, counter=1, name="other"),
        "about `other`",
    ),
    "pointer to nowhere": (lambda x: point(x.models, "0" * 16, x.signer, counter=1), "is missing"),
    "pointer without a signature": (lambda x: x.pointer.write_text('{"pointer": {}}'), UNSIGNED),
    "pointer that is no JSON": (lambda x: x.pointer.write_text("{"), "is not JSON"),
    "pointer that is a list": (lambda x: x.pointer.write_text("[]"), "is not a JSON object"),
    "pointer with too little": (
        lambda x: write_signed(x.pointer, "pointer", {"name": NAME}, x.signer),
        "has no",
    ),
    "signature that is not base64": (
        lambda x: replaced(x.release / "manifest.sig", b'"signature": "', b'"signature": "!'),
        UNSIGNED,
    ),
}


@pytest.mark.parametrize("case", TAMPERINGS)
def test_every_kind_of_tampering_is_refused(copy: Store, tmp_path: Path, case: str) -> None:
    """Whatever was changed after the signature is named, and nothing is served."""
    tamper, words = TAMPERINGS[case]
    tamper(copy)
    with pytest.raises(ServeFailedError, match=words):
        verify(copy, tmp_path)


def test_another_key_is_refused(pristine: Store, tmp_path: Path) -> None:
    """A release by somebody else is not served, however right it is in itself."""
    with pytest.raises(ServeFailedError, match="not signed by the given key"):
        verify(pristine, tmp_path, key=new_signer())


def test_a_lower_counter_is_refused(pristine: Store, tmp_path: Path) -> None:
    """An old pointer that was put back is refused; the one last seen is not."""
    assert verify(pristine, tmp_path, least=1)
    with pytest.raises(ServeFailedError, match="counter 1, 2 was seen before"):
        verify(pristine, tmp_path, least=2)


@pytest.mark.parametrize(
    ("passed", "golden", "words"),
    [(False, True, "did not pass the compression gate"), (True, False, "no golden inputs")],
)
def test_a_signed_release_must_have_passed_and_be_provable(
    tmp_path: Path, passed: bool, golden: bool, words: str
) -> None:
    """A valid signature does not help a release that the gate refused, or that cannot be proven."""
    signer = new_signer()
    artifact = write_artifact(tmp_path / "artifact")
    if not golden:
        model = json.loads((artifact / "model.json").read_text()) | {"golden": []}
        (artifact / "model.json").write_text(json.dumps(model))
    release = publish(tmp_path / "models", artifact, signer, passed=passed)
    with pytest.raises(ServeFailedError, match=words):
        verify(Store(tmp_path / "models", release, signer), tmp_path)


def test_a_report_about_another_archive_is_refused(tmp_path: Path) -> None:
    """The gate's word counts for the archive that it measured only."""
    signer = new_signer()
    models = tmp_path / "models"
    release = publish(models, write_artifact(tmp_path / "artifact"), signer)
    files = {
        path.name: path.read_bytes()
        for path in release.iterdir()
        if path.name not in ("manifest.json", "manifest.sig")
    }
    files["report.json"] = json.dumps({"chosen": "x", "passed": True, "mar_sha256": "0" * 64}).encode()
    listed = {n: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for n, c in files.items()}
    moved = release.with_name(version_of(listed))
    release.rename(moved)
    for name, content in files.items():
        (moved / name).write_bytes(content)
    manifest = canonical({"format": 1, "name": NAME, "version": moved.name, "files": listed})
    (moved / "manifest.json").write_bytes(manifest)
    store = Store(models, moved, signer)
    resign(store, version=moved.name, manifest_sha256=hashlib.sha256(manifest).hexdigest())
    point(models, moved.name, signer, counter=1)
    with pytest.raises(ServeFailedError, match="report about another archive"):
        verify(store, tmp_path)


def test_an_unknown_model_is_the_callers_mistake(tmp_path: Path) -> None:
    """No pointer at all is bad input, and says how to make one."""
    with pytest.raises(InputError, match="publish one with `skylift release`"):
        read_pointer(str(tmp_path), NAME, new_signer().key.public_key(), 0)


def test_only_an_ecdsa_key_is_taken(tmp_path: Path) -> None:
    """A missing, broken or other key is bad input."""
    path = tmp_path / "key.pem"
    with pytest.raises(InputError, match="must be a PEM file"):
        load_public_key(path)
    path.write_text("no")
    with pytest.raises(InputError, match="must be a PEM file"):
        load_public_key(path)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for key in (other, ec.generate_private_key(ec.SECP384R1())):
        path.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        with pytest.raises(InputError, match="must be ECDSA P-256"):
            load_public_key(path)


def test_both_rooms_spell_json_alike() -> None:
    """The signer's canonical JSON is the verifier's, also for letters beyond ASCII."""
    value = {"b": [1, 2.5, None, True], "a": "é€\u2028", "c": {"z": 1, "y": 2}}
    assert canonical(value) == signers_canonical(value)
