"""Answer a data set's held-out split with a release itself, without a server.

python -m model_code.predict --release URI --data URI --out FILE
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from model_code import store
from model_code.arguments import Arguments
from model_code.data.index import load_index
from model_code.data.read import ShardReader
from model_code.errors import InputError, RunFailedError, run_stage
from model_code.packaged import load_packaged
from model_code.samples import sample_requests
from model_code.typed_json import parse

AT_ONCE = 8
"""Requests answered together, as a server batches them."""


def predict(release: str, data: str, split: str, out: Path, *, device: str, threads: int) -> dict[str, Any]:
    """Write one JSON line a sample: id, content_type, body (base64), truth, answer. Return counts and seconds.

    Raises:
        InputError: no such release or split.
        RunFailedError: the archive is not the one in the manifest, or it refused a sample.
    """
    begun = time.monotonic()
    index = load_index(data)
    if split not in index.splits:
        raise InputError(f"split must be one of {', '.join(index.splits)}, got `{split}`; give --split test")
    with tempfile.TemporaryDirectory(prefix="skylift-predict-") as folder:
        mar = fetch_archive(release, Path(folder))
        predictor = load_packaged(mar, Path(folder) / "unpacked", device=device, threads=threads)
        reader = ShardReader(data, split, cache_dir=None, cache_bytes=0)
        samples = list(sample_requests(reader, index, data))
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(f".{out.name}.{os.getpid()}.part")
        correct = 0
        with partial.open("w") as file, Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("predict", total=len(samples))
            for start in range(0, len(samples), AT_ONCE):
                some = samples[start : start + AT_ONCE]
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
                    file.write(json.dumps(line) + "\n")
                progress.advance(bar, len(some))
        partial.replace(out)
    return {
        "samples": len(samples),
        "correct": correct if index.classes else None,
        "out": str(out),
        "seconds": time.monotonic() - begun,
    }


def fetch_archive(release: str, folder: Path) -> Path:
    """Fetch a release's archive and check it against the manifest."""
    mar = folder / "model.mar"
    try:
        manifest = store.read(store.join(release, "manifest.json"))
        store.fetch(store.join(release, "model.mar"), mar)
    except FileNotFoundError:
        raise InputError(
            f"release must be a published version, none at `{release}`; see `skylift releases`"
        ) from None
    try:
        listed = parse(manifest)["files"]["model.mar"]["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunFailedError(f"{release}/manifest.json is no manifest ({error}); publish it again") from None
    if store.sha256_file(mar) != listed:
        raise RunFailedError(
            f"{release}/model.mar is not the archive in its manifest; nothing of it was loaded"
        )
    return mar


def main(words: list[str]) -> None:
    """Predict and print one JSON object."""
    parser = Arguments(prog="model_code.predict")
    parser.add_argument("--release", required=True, help="URI of the version's folder")
    parser.add_argument("--data", required=True, help="URI of the shards")
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines file to write")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(words)
    result = predict(args.release, args.data, args.split, args.out, device=args.device, threads=args.threads)
    print(json.dumps(result))  # noqa: T201 - the stage's result


if __name__ == "__main__":
    run_stage(main)
