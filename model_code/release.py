"""Publish what the gate let through: content-addressed, signed, immutable; then point the servers at it.

python -m model_code.release publish --run URI --models URI --key KEY [--percentage P]
python -m model_code.release list --models URI --key KEY
python -m model_code.release promote|abort --models URI --name NAME --key KEY
python -m model_code.release rollback --models URI --name NAME --key KEY [--version V]
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_code import pointer as pointers
from model_code import store
from model_code.arguments import Arguments
from model_code.card import model_card
from model_code.errors import InputError, RunFailedError, exit_on_sigterm, run_stage
from model_code.kms_key import ALGORITHM
from model_code.pointer import Pointer, move_pointer, read_pointer, rollback_target
from model_code.report import read_report
from model_code.signing import SigningKey, canonical, public_pem, sign, signed_part, signing_key

COMMIT_POINT = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A published version."""

    name: str
    """The model's name."""
    version: str
    """First 16 hexadecimal digits of the SHA-256 over the canonical list of files."""
    uri: str
    """Folder of the version."""
    run_id: str
    """The training run that it comes from."""


def publish(run: str, models: str, key: SigningKey, percentage: int | None = None) -> tuple[Release, Pointer]:
    """Publish a run's chosen candidate and move the pointer to it, on all nodes or on a share of them.

    Raises:
        RunFailedError: the gate's report is missing, refuses, or is not about this very archive.
    """
    report = passing_report(run)
    with tempfile.TemporaryDirectory(prefix="skylift-release-") as folder:
        files = _gather(run, report, Path(folder))
        release = _write(files, report, models, key)
    return release, move_pointer(models, release.name, release.version, key, percentage)


def passing_report(run: str) -> dict[str, Any]:
    """Return the gate's report of a run, which must have passed."""
    try:
        report = read_report(run)
    except FileNotFoundError:
        raise InputError(
            f"run must have a gate report, none in {run}; run `skylift compress --run {run}` first"
        ) from None
    if report["passed"] is not True:
        raise RunFailedError(
            f"the gate refused run {report['run_id']}: nothing is published; see {run}/report.html"
        )
    return report


def version_of(files: dict[str, dict[str, Any]]) -> str:
    """Return the version that a list of files (name -> sha256, bytes) stands for."""
    return hashlib.sha256(canonical(files)).hexdigest()[:16]


def releases(models: str, public: bytes) -> list[dict[str, Any]]:
    """Return every published version below a model store, the served one marked, newest pointer first."""
    found = []
    for name in store.names(models):
        pointed = read_pointer(models, name, public)
        for version in store.names(store.join(models, name)):
            uri = store.join(models, name, version)
            if version == "current.json" or not store.exists(store.join(uri, COMMIT_POINT)):
                continue
            report = read_report(uri)
            chosen = next(c for c in report["candidates"] if c["name"] == report["chosen"])
            share = pointers.shares(pointed[0] if pointed else None).get(version, 0)
            current = pointed is not None and pointed[0].version == version
            found.append(
                {
                    "name": name,
                    "version": version,
                    "current": current,
                    "percentage": share,
                    "uri": uri,
                    "run_id": report["run_id"],
                    "candidate": report["chosen"],
                    "metric_name": report["metric_name"],
                    "metric": chosen["metric"],
                    "size_bytes": chosen["size_bytes"],
                    "created": report["machine"]["date"],
                }
            )
    return sorted(
        found, key=lambda row: (row["name"], not row["current"], -row["percentage"], row["created"])
    )


def rollback(models: str, name: str, key: SigningKey, version: str = "") -> Pointer:
    """Point all nodes at an earlier version again, after checking that it is whole and signed.

    An open rollout ends with it: without a version all nodes serve what most still do, as after `abort`.

    Raises:
        InputError: no such version.
        RunFailedError: its manifest is not what was signed.
    """
    found = read_pointer(models, name, public_pem(key))
    target = rollback_target(found[0] if found else None, name, version)
    _check_signed(models, name, target, public_pem(key))
    return pointers.move_back(models, name, target, key)


def _gather(run: str, report: dict[str, Any], folder: Path) -> dict[str, Path]:
    candidate = store.join(run, "candidates", report["chosen"])
    sources = {
        "model.mar": store.join(candidate, "model.mar"),
        "model.safetensors": store.join(candidate, "model.safetensors"),
        "model.json": store.join(candidate, "artifact", "model.json"),
        "report.json": store.join(run, "report.json"),
        "report.html": store.join(run, "report.html"),
    }
    try:
        for name, uri in sources.items():
            store.fetch(uri, folder / name)
    except FileNotFoundError as error:
        raise InputError(
            f"run must hold its chosen candidate, {error} is missing; compress it again"
        ) from None
    if store.sha256_file(folder / "model.mar") != report["mar_sha256"]:
        raise RunFailedError(
            f"the report is about another archive than {sources['model.mar']}; run `skylift compress` again"
        )
    (folder / "card.md").write_text(model_card(report))
    return {path.name: path for path in sorted(folder.iterdir())}


def _write(files: dict[str, Path], report: dict[str, Any], models: str, key: SigningKey) -> Release:
    listed = {name: {"sha256": store.sha256_file(p), "bytes": p.stat().st_size} for name, p in files.items()}
    name, version = report["name"], version_of(listed)
    uri = store.join(models, name, version)
    manifest = canonical({"format": 1, "name": name, "version": version, "files": listed})
    statement = {
        "name": name,
        "version": version,
        "run_id": report["run_id"],
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
    }
    release = Release(name=name, version=version, uri=uri, run_id=report["run_id"])
    if store.exists(store.join(uri, COMMIT_POINT)):
        return release
    for file, path in files.items():
        store.upload(path, store.join(uri, file))
    signed = {"algorithm": ALGORITHM, "signature": sign(statement, key), "statement": statement}
    store.write(store.join(uri, "manifest.sig"), json.dumps(signed, indent=2).encode())
    try:
        store.create(store.join(uri, COMMIT_POINT), manifest)
    except store.ConflictError:
        if store.read(store.join(uri, COMMIT_POINT)) != manifest:
            raise RunFailedError(
                f"{uri} holds another manifest under the same version; somebody tampered with it"
            ) from None
    return release


def _check_signed(models: str, name: str, version: str, public: bytes) -> None:
    uri = store.join(models, name, version)
    try:
        manifest = store.read(store.join(uri, COMMIT_POINT))
        signed = store.read(store.join(uri, "manifest.sig"))
    except FileNotFoundError:
        raise InputError(
            f"`{name}` has no release `{version}`; see `skylift releases --name {name}`"
        ) from None
    expected = {"name": name, "version": version, "manifest_sha256": hashlib.sha256(manifest).hexdigest()}
    statement = signed_part(signed, "statement", public, store.join(uri, "manifest.sig"))
    if any(statement.get(field) != value for field, value in expected.items()):
        raise RunFailedError(f"{uri} is not what was signed; the pointer stays where it is")


def main(words: list[str]) -> None:
    """Run one of the commands and print one JSON object."""
    parser = Arguments(prog="model_code.release")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("publish", "list", "promote", "abort", "rollback"):
        sub = commands.add_parser(command)
        sub.add_argument("--models", required=True, help="URI of the model store")
        sub.add_argument(
            "--key", required=True, help="folder of signing.pem (made where missing), or a KMS ARN"
        )
        if command == "publish":
            sub.add_argument("--run", required=True, help="URI of the run folder, with the gate's report")
            sub.add_argument("--percentage", type=int, help="share of the nodes; default: all of them")
        else:
            sub.add_argument("--name", default="", help="the model's name")
        if command == "rollback":
            sub.add_argument("--version", default="", help="default: the one served before")
    args = parser.parse_args(words)
    key = signing_key(args.key)
    if args.command == "publish":
        if args.percentage is not None and not 1 <= args.percentage <= 100:
            raise InputError(
                f"--percentage must be between 1 and 100, got {args.percentage}; leave it out for all"
            )
        with exit_on_sigterm():
            release, pointer = publish(args.run, args.models, key, args.percentage)
        answer: dict[str, Any] = asdict(release) | {
            field: getattr(pointer, field) for field in ("counter", "previous", "percentage")
        }
    elif args.command == "list":
        rows = releases(args.models, public_pem(key))
        answer = {"releases": [row for row in rows if args.name in ("", row["name"])]}
    elif args.command == "rollback":
        answer = asdict(rollback(args.models, args.name, key, args.version))
    else:
        move = pointers.promote if args.command == "promote" else pointers.abort
        answer = asdict(move(args.models, args.name, key))
    print(json.dumps(answer))  # noqa: T201 - the stage's result


if __name__ == "__main__":
    run_stage(main)
