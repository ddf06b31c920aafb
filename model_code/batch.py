"""One batch prediction: its key, its ranges, who makes them, and the gathering.

Ranks take the next range from a shared counter, so that a slow one holds nobody up, and write its answers as one part.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_code import store
from model_code.data.read import ShardReader
from model_code.errors import InputError, RunFailedError
from model_code.gathered import Gathered, find_gathered, gather
from model_code.identity import code_digest
from model_code.packaged import Predictor, load_packaged
from model_code.parts import Part, Parts
from model_code.progress import PredictProgress
from model_code.released import Released, fetch_archive, find_release
from model_code.samples import SampleRequest, sample_requests
from model_code.signing import canonical
from model_code.team import Team

AT_ONCE = 8
"""Requests answered together, as a server batches them."""
RANGE = 256
"""Default samples of a range: seconds to minutes of work, and few enough objects."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one batch prediction is asked for."""

    release: str
    """URI of a version's folder, or of a model's: its current version."""
    public_key: Path
    """PEM of the key that releases are signed with."""
    data: str
    """URI of the shards."""
    split: str = "test"
    """`train`, `validation` or `test`."""
    out: str
    """URI of the JSON lines to write; one that ends with `/` is a folder, and the name is made."""
    range_size: int = RANGE
    """Samples of a range, 1 or more."""
    threads: int = 1
    """CPU threads of a replica, 1 or more. Not the share of the cores: a sum that is split otherwise rounds otherwise,
    and one rank and many must give the same bytes. More ranks use more cores."""
    keep_parts: bool = False
    """Leave the parts when they are gathered."""


class BatchJob:
    """One batch prediction as one rank sees it. Every rank of the team makes one and calls `run`."""

    def __init__(self, asked: Batch, team: Team) -> None:
        """Find release and data.

        Raises:
            InputError: no such release, split or key.
            RunFailedError: the release is not what was signed.
        """
        self._asked, self._team = asked, team
        folder = store.local_path(store.as_uri(asked.out))
        if folder and folder.is_dir() and not asked.out.endswith("/"):
            raise InputError(
                f"--out must be a file, `{asked.out}` is a folder; write {asked.out}/ for one below it"
            )
        found = team.from_leader("release", lambda: asdict(find_release(asked.release, asked.public_key)))
        self._release = Released(**found)
        self._reader = ShardReader(asked.data, asked.split)
        self._key = job_key(asked, self._release, self._reader.index.version, team.device)
        name = f"{self._release.version}-{self._reader.index.version}-{asked.split}.jsonl"
        self._out = store.join(asked.out, name) if asked.out.endswith("/") else asked.out
        self._parts = Parts(self._out, self._key, len(self._reader), asked.range_size)
        self._replica: Predictor | None = None

    def run(self, folder: Path) -> dict[str, Any]:
        """Answer the split and return counts and seconds; on other ranks than 0 an empty dict.

        Args:
            folder: for the unpacked release; must outlive the process's last answer.

        Raises:
            RunFailedError: the release refused a sample, or there is no room for the answers.
        """
        begun = time.monotonic()
        team, parts = self._team, self._parts
        with PredictProgress(ranges=len(parts), shown=team.leads) as bar:
            gathered = self._gathered(bar)
            if gathered is None:
                while (number := team.add("taken") - 1) < len(parts):
                    if parts.read(number, bar.say) is None:
                        self._make(number, folder)
                    bar.at(team.add("done"))
            if not team.leads:
                return {}
            if gathered is None:
                team.wait_for("done", len(parts), bar.at)
                gathered = self._gather(bar, folder)
        if not self._asked.keep_parts:
            parts.clear()
        redone = min(team.add("redone", 0), len(parts))
        return {
            "samples": gathered.samples,
            "correct": gathered.correct,
            "out": str(store.local_path(self._out) or self._out),
            "sha256": gathered.sha256,
            "name": self._release.name,
            "version": self._release.version,
            "ranges": len(parts),
            "redone": redone,
            "reused": len(parts) - redone,
            "ranks": team.size,
            "device": team.device,
            "seconds": time.monotonic() - begun,
        }

    def _gathered(self, bar: PredictProgress) -> Gathered | None:
        def find() -> dict[str, Any]:
            known = find_gathered(self._out, self._key, bar.say)
            return asdict(known) if known else {}

        known = self._team.from_leader("gathered", find)
        return Gathered(**known) if known else None

    def _make(self, number: int, folder: Path) -> Part:
        """Answer one range and write its part."""
        if self._replica is None:
            mar = fetch_archive(self._release, folder)
            unpacked, threads = folder / "unpacked", self._asked.threads
            self._replica = load_packaged(mar, unpacked, device=self._team.device, threads=threads)
        reader = self._reader
        requests = sample_requests(reader, reader.index, self._asked.data, *self._parts.bounds(number))
        part = answered(self._replica, requests)
        self._parts.write(number, part)
        self._team.add("redone")
        return part

    def _gather(self, bar: PredictProgress, folder: Path) -> Gathered:
        """Put the parts together; one that is gone or damaged by now is made again here."""

        def in_order() -> Iterator[Part]:
            for number in range(len(self._parts)):
                yield self._parts.read(number, bar.say) or self._make(number, folder)

        def record(samples: int, correct: int, sha256: str) -> Gathered:
            return Gathered(
                job=self._key,
                release=self._release.version,
                data=self._reader.index.version,
                split=self._asked.split,
                samples=samples,
                correct=correct if self._reader.index.classes else None,
                sha256=sha256,
            )

        return gather(self._out, in_order(), record)


def job_key(asked: Batch, release: Released, data_version: str, device: str) -> str:
    """Return the hash of all that decides a part's bytes: what another job made is never taken for this one's."""
    facts = {
        "release": release.version,
        "data": data_version,
        "split": asked.split,
        "range": asked.range_size,
        "threads": asked.threads,
        "device": device.partition(":")[0],
        "code": code_digest(),
    }
    return hashlib.sha256(canonical(facts)).hexdigest()[:16]


def answered(predictor: Predictor, requests: Iterator[SampleRequest]) -> Part:
    """Return the answers to a range, `AT_ONCE` at a time from its first sample.

    A line a sample: id, content_type, body (base64), truth, answer.

    Raises:
        RunFailedError: the release refused a sample.
    """
    lines: list[bytes] = []
    correct = 0
    while some := list(itertools.islice(requests, AT_ONCE)):
        answers = predictor.answer([(sample.body, sample.content_type) for sample in some])
        for sample, (status, answer) in zip(some, answers, strict=True):
            if status != 200:
                raise RunFailedError(f"the release refused sample {sample.id}: {status} {answer}")
            correct += sample.truth is not None and answer["label"] == sample.truth
            line = {
                "id": sample.id,
                "content_type": sample.content_type,
                "body": base64.b64encode(sample.body).decode(),
                "truth": sample.truth,
                "answer": answer,
            }
            lines.append(json.dumps(line).encode() + b"\n")
    return Part(lines=b"".join(lines), samples=len(lines), correct=correct)
