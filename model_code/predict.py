"""Answer a split of a data set with a release itself, without a server; by one process or, under torchrun, by many.

python -m model_code.predict --release URI --public-key PEM --data URI --out URI
torchrun --standalone --nproc-per-node 2 -m model_code.predict …

A run that was killed goes on from the ranges that are done, with any number of processes, and ends with the same bytes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from model_code.arguments import Arguments
from model_code.batch import RANGE, Batch, BatchJob
from model_code.errors import InputError, RunFailedError, exit_on_sigterm, run_stage
from model_code.team import Team


def main(words: list[str]) -> None:
    """Predict and print one JSON object (rank 0)."""
    asked, device = _arguments(words)
    team = Team(device)
    try:
        job = BatchJob(asked, team)
        with exit_on_sigterm(), tempfile.TemporaryDirectory(prefix="skylift-predict-") as folder:
            result = job.run(Path(folder))
    except RunFailedError:
        if not team.first_to("fail"):  # all ranks find the same disk full: one of them says so
            sys.exit(1)
        raise
    if team.leads:
        print(json.dumps(result))  # noqa: T201 - the stage's result


def _arguments(words: list[str]) -> tuple[Batch, str]:
    parser = Arguments(prog="model_code.predict")
    parser.add_argument(
        "--release", required=True, help="URI of a version's folder, or of a model's: its current one"
    )
    parser.add_argument(
        "--public-key", type=Path, required=True, help="signing.pub.pem of who signed the release"
    )
    parser.add_argument("--data", required=True, help="URI of the shards")
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--out", required=True, help="URI of the JSON lines to write; FOLDER/: the name is made"
    )
    parser.add_argument("--range", type=int, default=RANGE, help="samples that are done and kept together")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each process")
    parser.add_argument("--keep-parts", action="store_true", help="leave <out>.parts/ when all is gathered")
    args = parser.parse_args(words)
    for option, value in (("--range", args.range), ("--threads", args.threads)):
        if value < 1:
            raise InputError(f"{option} must be 1 or more, got {value}; leave it out for the default")
    return Batch(
        release=args.release,
        public_key=args.public_key,
        data=args.data,
        split=args.split,
        out=args.out,
        range_size=args.range,
        threads=args.threads,
        keep_parts=args.keep_parts,
    ), args.device


if __name__ == "__main__":
    run_stage(main)
