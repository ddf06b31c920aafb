"""Measure one archive as the server would run it, in a process of its own that never imports training code.

    python -m model_code.compress.measure --mar X --data URI [--threads 1] [--batch 8] [--device cpu] [--golden 3]

prints one JSON object: quality on the test split, latencies, peak memory, answers to golden requests.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from model_code import store
from model_code.data.index import DataIndex
from model_code.data.read import Batch, ShardReader
from model_code.errors import RunFailedError, run_stage
from model_code.packaged import Predictor, load_packaged
from model_code.samples import SampleRequest, sample_requests

MOST_SAMPLES = 10_000
"""Held-out samples that are measured; the splits are random, so the first ones are as good as any."""
LATENCY_SECONDS = 1.0
"""Time spent on each latency."""
REPEATS = (5, 200)
"""Fewest and most repeats of each latency."""
AT_ONCE = 32
"""Requests answered together while quality is measured."""
NEW_TOKENS = 8
"""Tokens that a language model writes in a golden or a timed request."""
COMPARED = 16
"""Samples whose answers are given back in full, to be compared with the network's own."""

Request = tuple[bytes, str]


def measure(
    mar: Path,
    data: str,
    *,
    device: str,
    threads: int,
    batch: int,
    golden: int,
    seconds: float = LATENCY_SECONDS,
) -> dict[str, Any]:
    """Return what was measured of one archive, see the module's text.

    Raises:
        RunFailedError: it refused a sample of the held-out split.
    """
    with tempfile.TemporaryDirectory(prefix="skylift-measure-") as folder:
        begun = time.perf_counter()
        predictor = load_packaged(mar, Path(folder), device=device, threads=threads)
        load_seconds = time.perf_counter() - begun
        facts = json.loads((Path(folder) / "model.json").read_text())
        # One shard in memory at most: what is measured is the server's memory, not the data set's.
        reader = ShardReader(data, "test", memory_bytes=0)
        requests = _some_requests(reader, reader.index, data, batch)
        ask = _asker(predictor)
        single, serving = (_latency_ms(ask, requests, size, seconds=seconds) for size in (1, batch))
        peak = peak_memory_bytes()
        quality = _bits_per_byte if reader.index.kind == "tokens" else _accuracy
        metric, samples, compared = quality(ask, reader, reader.index, data, facts)
        chosen = requests[:golden]
        return {
            "metric_name": facts["metric_name"],
            "metric": metric,
            "test_samples": samples,
            "load_seconds": load_seconds,
            "latency_ms_batch1": single,
            "latency_ms_serving_batch": serving,
            "serving_batch": batch,
            "peak_memory_bytes": peak,
            "golden": [
                {"content_type": kind, "body": base64.b64encode(body).decode(), "answer": answer}
                for (body, kind), answer in zip(chosen, ask(chosen), strict=True)
            ],
            "compared": compared,
        }


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held.

    From /proc where it is: `ru_maxrss` survives exec, so a small process started by a large one shows the large one's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _asker(predictor: Predictor) -> Callable[[list[Request]], list[dict[str, Any]]]:
    def ask(requests: list[Request]) -> list[dict[str, Any]]:
        answers = predictor.answer(requests)
        for status, answer in answers:
            if status != 200:
                raise RunFailedError(f"the packaged model refused a held-out sample: {status} {answer}")
        return [answer for _, answer in answers]

    return ask


def _some_requests(reader: ShardReader, index: DataIndex, data: str, count: int) -> list[Request]:
    """Return different requests of the held-out split, repeated where there are too few."""
    found: list[Request] = []
    for sample in sample_requests(reader, index, data):
        found.append((_shortened(sample), sample.content_type))
        if len(found) == count:
            return found
    return [found[place % len(found)] for place in range(count)]


def _shortened(sample: SampleRequest) -> bytes:
    if sample.truth is not None:
        return sample.body
    return json.dumps({**json.loads(sample.body), "max_new_tokens": NEW_TOKENS}).encode()


def _latency_ms(
    ask: Callable[[list[Request]], list[dict[str, Any]]],
    requests: list[Request],
    size: int,
    *,
    seconds: float,
) -> float:
    """Return the median milliseconds to answer `size` requests, from bytes to JSON, after a warm-up."""
    times: list[float] = []
    place = 0
    ask(requests[:size])
    end = time.perf_counter() + seconds
    while len(times) < REPEATS[0] or (len(times) < REPEATS[1] and time.perf_counter() < end):
        some = [requests[(place + offset) % len(requests)] for offset in range(size)]
        place += size
        begun = time.perf_counter()
        ask(some)
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


def _accuracy(
    ask: Callable[[list[Request]], list[dict[str, Any]]],
    reader: ShardReader,
    index: DataIndex,
    data: str,
    facts: dict[str, Any],
) -> tuple[float, int, list[list[float]]]:
    """Return the share of right labels, over how many samples, and the first samples' scores in class order."""
    right = total = 0
    compared: list[list[float]] = []
    for some in _chunks(sample_requests(reader, index, data)):
        answers = ask([(sample.body, sample.content_type) for sample in some])
        for sample, answer in zip(some, answers, strict=True):
            right += answer["label"] == sample.truth
            if len(compared) < COMPARED:
                compared.append([answer["scores"][name] for name in facts["classes"]])
        total += len(some)
        if total >= MOST_SAMPLES:
            break
    return right / total, total, compared


def _bits_per_byte(
    ask: Callable[[list[Request]], list[dict[str, Any]]],
    reader: ShardReader,
    index: DataIndex,  # noqa: ARG001 - one signature for both measures
    data: str,  # noqa: ARG001
    facts: dict[str, Any],
) -> tuple[float, int, list[list[float]]]:
    """Return the bits a byte of the held-out blocks, over how many windows, and the first windows' nats."""
    nats = size = 0.0
    count = 0
    compared: list[list[float]] = []
    for batch in reader.batches(AT_ONCE):
        windows = token_windows(batch, int(facts["tokens"]["max_tokens"]))
        bodies = [json.dumps({"tokens": window, "score": True}).encode() for window in windows]
        for answer in ask([(body, "application/json") for body in bodies]):
            nats += answer["nats"]
            size += answer["bytes"]
            if len(compared) < COMPARED:
                compared.append([answer["nats"]])
        count += len(windows)
        if count >= MOST_SAMPLES:
            break
    return nats / math.log(2) / max(size, 1), count, compared


def token_windows(batch: Batch, context: int) -> list[list[int]]:
    """Return the stretches of context + 1 tokens that training cuts each block into; neighbours share an end."""
    blocks = batch["tokens"].tolist()
    return [
        block[start : start + context + 1]
        for block in blocks
        for start in range(0, len(block) - context, context)
    ]


def _chunks(samples: Iterator[SampleRequest]) -> Iterator[list[SampleRequest]]:
    some: list[SampleRequest] = []
    for sample in samples:
        some.append(sample)
        if len(some) == AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def main(words: list[str]) -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="model_code.compress.measure")
    parser.add_argument("--mar", required=True, help="the archive: a path or a file:// URI")
    parser.add_argument("--data", required=True, help="URI of the shards")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of one answer")
    parser.add_argument("--batch", type=int, default=8, help="requests of a serving batch")
    parser.add_argument("--golden", type=int, default=3, help="requests to give back with their answers")
    parser.add_argument("--seconds", type=float, default=LATENCY_SECONDS, help="spent on each latency")
    args = parser.parse_args(words)
    mar = store.local_path(args.mar) or Path(args.mar)
    result = measure(
        mar, args.data, device=args.device, threads=args.threads, batch=args.batch, golden=args.golden,
        seconds=args.seconds,
    )  # fmt: skip
    print(json.dumps(result))  # noqa: T201 - the stage's result


if __name__ == "__main__":
    run_stage(main)
