"""What was signed is accepted in both rooms; what was altered, half-signed or is of no known form never is."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import assume, example, given
from hypothesis import strategies as st

from model_code import store
from model_code.errors import InputError, RunFailedError
from model_code.pointer import Pointer, move_pointer, read_pointer, rollback_target
from model_code.release import publish, releases, rollback
from model_code.released import fetch_archive, find_release
from model_code.report import read_report
from model_code.signing import canonical, ensure_key_pair, public_pem, sign, verified
from serve_config import errors as serve
from serve_config import verify
from tests.fuzz.strategies import MEGABYTES, altered, costly, damaged, folder, hostile, json_values, refusal
from tests.lasting import lasting_folder
from tests.test_release import REPORT, make_run

NAME = "resnet-digits"
KINDS = (InputError, RunFailedError, serve.InputError, serve.ServeFailedError)


@functools.cache
def key() -> Path:
    """Return a signing key for all examples."""
    return ensure_key_pair(lasting_folder("fuzz-keys"))


@functools.cache
def stranger() -> Path:
    """Return somebody else's key."""
    return ensure_key_pair(lasting_folder("fuzz-keys"))


@functools.cache
def written() -> dict[str, bytes]:
    """Return the files of a store with one release, by path below the models' folder."""
    with folder() as place:
        run = a_run(place)
        publish(str(run), str(place / "models"), key())
        paths = [path for path in (place / "models").rglob("*") if path.is_file()]
        return {str(path.relative_to(place / "models")): path.read_bytes() for path in paths}


def a_run(place: Path) -> Path:
    """Write a run whose gate has passed, with a model.json that a server takes."""
    serve_files, artifact = place / "serve", place / "artifact"
    for made in (serve_files, artifact):
        made.mkdir()
    for name in ("handler.py", "predictor.py", "model-config.yaml"):
        (serve_files / name).write_text("# x")
    facts = {"runtime": "onnxruntime", "task": "image-classification", "classes": ["a", "b"], "image": None}
    golden = [{"content_type": "image/png", "body": "YQ==", "answer": {"label": "a"}}]
    (artifact / "model.json").write_text(json.dumps({**facts, "golden": golden}))
    run = make_run(place / "run", artifact, serve_files, "run-1")
    (run / "candidates" / "prune-50" / "artifact" / "model.json").write_text(
        json.dumps({**facts, "golden": golden})
    )
    return run


def version() -> str:
    """Return the one release's version."""
    return next(name.split("/")[1] for name in written() if name.endswith("manifest.json"))


def restored(place: Path, **changes: bytes) -> str:
    """Write the store anew with other content of some files, named by their last part; return its path."""
    for name, content in written().items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(changes.get(path.name.replace(".", "_"), content))
    return str(place)


def served(models: str, place: Path) -> tuple[str, int]:
    """Return what a node takes from a store: version and counter."""
    public: Any = load_pem_public_key(public_pem(key()))
    pointer = verify.read_pointer(models, NAME, public, 0)
    return verify.fetch_release(models, pointer, public, place / "fetched").version, pointer.counter


def published(models: str) -> tuple[str, int]:
    """Return what a publisher sees in a store: version and counter."""
    found = read_pointer(models, NAME, public_pem(key()))
    assert found is not None
    return found[0].version, found[0].counter


def current(fields: object, signer: Path) -> bytes:
    """Return a pointer's file with these fields."""
    return json.dumps(
        {"algorithm": "ECDSA_SHA_256", "pointer": fields, "signature": sign(fields, signer)}
    ).encode()


@costly
@given(st.data())
def test_a_damaged_store_is_never_served(data: st.DataObject) -> None:
    """One accident to any file of it: refused by the room that reads it, or harmless."""
    file = data.draw(st.sampled_from(sorted(n for n in written() if "html" not in n and "safe" not in n)))
    content = data.draw(damaged(written()[file]))
    with folder() as place:
        models = restored(place / "models")
        (place / "models" / file).write_bytes(content)
        if refusal(lambda: served(models, place), *KINDS) is None:
            # Spaces, the name of the algorithm: not one field of what was signed.
            assert published(models) == (version(), 1)
            assert (place / "fetched" / "model.mar").read_bytes() == written()[
                f"{NAME}/{version()}/model.mar"
            ]
        if refusal(lambda: published(models), *KINDS) is None:
            assert published(models) == (version(), 1)
        refusal(lambda: releases(models, public_pem(key())), *KINDS)


SIGNED = {"name": NAME, "version": "0" * 16, "counter": 7, "previous": ["1" * 16], "percentage": 100}


@given(altered(SIGNED))
@example({**SIGNED, "counter": "7"})
@example({**SIGNED, "counter": True})
@example({**SIGNED, "version": "../../etc"})
@example({**SIGNED, "version": MEGABYTES})
@example({**SIGNED, "name": "other"})
@example({**SIGNED, "previous": 5})
@example([])
def test_a_wrong_pointer_is_refused_though_it_is_signed(fields: Any) -> None:
    """The key's owner can be wrong, too: another type, another model, a version that leads elsewhere."""
    assume(fields != SIGNED)
    with folder() as place:
        models = restored(place / "models", current_json=current(fields, key()))
        if refusal(lambda: published(models), *KINDS) is None:
            assert published(models) == (fields["version"], fields["counter"])
        assert refusal(lambda: served(models, place), *KINDS) is not None
        # What is wrong stays until somebody looks: a publisher must not build on it.
        before = (place / "models" / NAME / "current.json").read_bytes()
        if refusal(lambda: move_pointer(models, NAME, "2" * 16, key()), *KINDS) is not None:
            assert (place / "models" / NAME / "current.json").read_bytes() == before


@given(altered(SIGNED))
def test_a_signature_covers_every_field(fields: Any) -> None:
    """A field changed after signing: refused in both rooms. Signed by another key: refused."""
    assume(canonical(fields) != canonical(SIGNED))
    half = {"algorithm": "ECDSA_SHA_256", "pointer": fields, "signature": sign(SIGNED, key())}
    with folder() as place:
        for content in (json.dumps(half).encode(), current(SIGNED, stranger())):
            models = restored(place / "models", current_json=content)
            assert "not signed" in (refusal(lambda: published(models), RunFailedError) or "")  # noqa: B023
            assert "not signed" in (refusal(lambda: served(models, place), serve.ServeFailedError) or "")  # noqa: B023


FORMS: list[bytes] = [
    b"[" * 200_000,
    b'{"pointer":' * 990 + b"1" + b"}" * 990,
    json.dumps({"pointer": SIGNED}).encode(),
    json.dumps({"pointer": SIGNED, "signature": ""}).encode(),
    json.dumps({"pointer": SIGNED, "signature": "é"}).encode(),
    json.dumps({"pointer": SIGNED, "signature": ["a"]}).encode(),
    json.dumps({"pointer": SIGNED, "signature": MEGABYTES}).encode(),
    json.dumps({"signature": "YQ=="}).encode(),
    MEGABYTES.encode() * 20,
    json.dumps({"pointer": SIGNED, "x": MEGABYTES * 20}).encode(),
]


@given(hostile | st.sampled_from(FORMS), st.sampled_from(["current_json", "manifest_sig", "manifest_json"]))
@example(FORMS[0], "current_json")
@example(FORMS[1], "current_json")
@example(FORMS[1], "manifest_sig")
@example(FORMS[4], "current_json")
@example(FORMS[4], "manifest_sig")
@example(FORMS[8], "current_json")
@example(FORMS[9], "manifest_sig")
@example(b"[]", "manifest_sig")
@example(b"[]", "manifest_json")
def test_no_other_file_is_taken_for_a_signed_one(content: bytes, file: str) -> None:
    """Unsigned, deep, huge, of another encoding: one line in each room, and nothing is fetched or pointed at."""
    with folder() as place:
        models = restored(place / "models", **{file: content})
        assert refusal(lambda: served(models, place), serve.ServeFailedError) is not None
        assert not (place / "fetched" / "model.mar").exists()
        target = lambda: rollback(models, NAME, key(), version())  # noqa: E731
        assert refusal(target, InputError, RunFailedError) is not None
        if file == "manifest_json":
            public = key().with_name("signing.pub.pem")
            ask = lambda: fetch_archive(find_release(f"{models}/{NAME}/{version()}", public), place)  # noqa: E731
            assert refusal(ask, *KINDS) is not None


@given(st.sampled_from(["pointer", "statement"]), st.sampled_from(["before", "after", "within"]))
def test_a_key_that_comes_twice_is_refused(part: str, where: str) -> None:
    """Readers differ on which of two counts: a file that says two things was not written by us."""
    file = "current_json" if part == "pointer" else "manifest_sig"
    name = f"{NAME}/current.json" if part == "pointer" else f"{NAME}/{version()}/manifest.sig"
    text = written()[name].decode()
    other = f'"{part}": {{"name": "other"}}'
    twice = {
        "before": text.replace("{", f"{{{other}, ", 1),
        "after": text.rstrip()[:-1] + f", {other}}}",
        "within": text.replace('"name": ', '"name": "other", "name": ', 1),
    }[where]
    assert json.loads(twice)
    with folder() as place:
        models = restored(place / "models", **{file: twice.encode()})
        assert "twice" in (refusal(lambda: served(models, place), serve.ServeFailedError) or "")
        target = lambda: rollback(models, NAME, key(), version())  # noqa: E731
        assert "twice" in (refusal(target, RunFailedError) or "")


@given(json_values, json_values)
def test_a_signature_is_of_one_value(value: object, other: object) -> None:
    """Any JSON can be signed, both rooms spell it alike, and no other value has that signature."""
    assert canonical(value) == verify.canonical(value)
    signature = sign(value, key())
    assert verified(value, signature, public_pem(key()))
    assert verified(other, signature, public_pem(key())) is (canonical(value) == canonical(other))
    assert not verified(value, signature, public_pem(stranger()))


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=16))
def test_every_move_of_the_pointer_is_counted(moves: list[str]) -> None:
    """The counter rises by one a change; a rollback finds the version before; what is written is read in both rooms."""
    versions = [letter * 16 for letter in moves]
    changes = [v for n, v in enumerate(versions) if n == 0 or versions[n - 1] != v]
    with folder() as place:
        for one in versions:
            pointer = move_pointer(str(place), NAME, one, key())
        assert published(str(place)) == (versions[-1], len(changes))
        public: Any = load_pem_public_key(public_pem(key()))
        node = verify.read_pointer(str(place), NAME, public, len(changes))
        assert (node.version, node.counter) == (pointer.version, pointer.counter)
        assert versions[-1] not in pointer.previous
        assert len(set(pointer.previous)) == len(pointer.previous)
        if len(changes) > 1:
            assert rollback_target(pointer, NAME, "") == changes[-2]
        too_old = lambda: verify.read_pointer(str(place), NAME, public, len(changes) + 1)  # noqa: E731
        assert "an old pointer" in (refusal(too_old, serve.ServeFailedError) or "")


WHOLE = {**REPORT, "mar_sha256": "0" * 64}


@given(altered(WHOLE).map(lambda value: json.dumps(value).encode()) | hostile)
@example(json.dumps({**WHOLE, "name": "../../elsewhere"}).encode())
@example(json.dumps({**WHOLE, "metric_name": None}).encode())
@example(json.dumps({**WHOLE, "chosen": "../elsewhere"}).encode())
@example(json.dumps({**WHOLE, "chosen": "no such candidate"}).encode())
@example(json.dumps({**WHOLE, "name": MEGABYTES}).encode())
@example(json.dumps({**WHOLE, "candidates": 3}).encode())
@example(json.dumps({**WHOLE, "passed": "yes"}).encode())
@example(b"[]")
def test_a_report_that_is_none_publishes_nothing(content: bytes) -> None:
    """Whatever lies under the report's name: refused in one line, and no folder of a release is begun."""
    with folder() as place:
        run = place / "run"
        run.mkdir()
        (run / "report.json").write_bytes(content)
        if refusal(lambda: read_report(str(run)), RunFailedError) is None:
            assert "/" not in read_report(str(run))["name"]
        missing = lambda: publish(str(run), str(place / "models"), key())  # noqa: E731
        assert refusal(missing, InputError, RunFailedError) is not None
        assert not (place / "models").exists()


@given(st.text(max_size=30), st.lists(st.text(max_size=8), max_size=4).map(tuple))
@example(MEGABYTES, ())
def test_a_rollback_that_cannot_be(name: str, previous: tuple[str, ...]) -> None:
    """Without a version before, the line is short."""
    pointer = Pointer(name=name, version="v", counter=1, previous=previous)
    if refusal(lambda: rollback_target(pointer, name, ""), InputError) is None:
        assert rollback_target(pointer, name, "") == previous[0]


@given(st.binary(max_size=300) | st.just(b""))
def test_a_key_that_is_none(content: bytes) -> None:
    """Any other file is refused as a key, in both rooms."""
    with folder() as place:
        path = place / "signing.pem"
        path.write_bytes(content)
        assert refusal(lambda: public_pem(path), InputError) is not None
        assert refusal(lambda: verify.load_public_key(path), serve.InputError) is not None
        assert store.read(str(path)) == content
