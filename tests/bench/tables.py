"""The benchmark's tables as Markdown. Pure, but for reading what machine this is."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.cli.summary import megabytes, number

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def machine() -> str:
    """Return one line: processor, cores, memory, date."""
    cpu = next(
        (
            x.partition(":")[2].strip()
            for x in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in x
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    today = datetime.now(UTC).date().isoformat()
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, no GPU; Python {platform.python_version()}; {today}."


def pipeline_table(results: dict[str, dict[str, Any]]) -> str:
    """Return quality, size and latency before and after, and how the release served."""
    rows = [
        "| data | recipe's metric | uncompressed → released | size | latency, 1 sample, 1 thread | as | "
        "served | requests/s | p50 / p99 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        release, serving, metric = result["release"], result["serving"], result["train"]["metric_name"]
        smaller = release["baseline_size_bytes"] / release["size_bytes"]
        served = f"{serving['agreeing']} of {serving['requests']} as offline"
        if serving["accuracy"] is not None:
            served += f", accuracy {serving['accuracy']:.2%}"
        rows.append(
            f"| {name} | {metric.replace('_', ' ')} | "
            f"{number(metric, release['baseline_metric'])} → {number(metric, release['metric'])} | "
            f"{megabytes(release['baseline_size_bytes'])} → {megabytes(release['size_bytes'])} ({smaller:.1f}x) | "
            f"{release['baseline_latency_ms_batch1']:.2f} → {release['latency_ms_batch1']:.2f} ms "
            f"({release['speedup']:.1f}x) | {release['candidate']} | {served} | "
            f"{serving['requests_per_s']:.0f} | {serving['p50_ms']:.0f} / {serving['p99_ms']:.0f} ms |"
        )
    return "\n".join(rows)


def stage_table(results: dict[str, dict[str, Any]]) -> str:
    """Return seconds and peak memory (of the largest process) of every stage."""
    names = list(next(iter(results.values()))["stages"])
    rows = [
        "| seconds, MiB | " + " | ".join(names) + " | in all |",
        "|---" * (len(names) + 2) + "|",
    ]
    for name, result in results.items():
        stages = result["stages"]
        cells = []
        for stage in names:
            facts = stages.get(stage, {"seconds": 0, "peak_memory_bytes": 0})
            memory = f", {facts['peak_memory_bytes'] / 2**20:.0f}" if facts["peak_memory_bytes"] else ""
            cells.append(f"{facts['seconds']:.1f}{memory}")
        total = sum(facts["seconds"] for facts in stages.values())
        rows.append(f"| {name} | " + " | ".join(cells) + f" | {total:.0f} |")
    return "\n".join(rows)


def reading_table(measured: dict[str, Any]) -> str:
    """Return the data reader's figures."""
    rows = ["| reading samples | |", "|---|---|"]
    rows += [f"| {key.replace('_', ' ')} | {value:,.0f} |" for key, value in measured.items()]
    return "\n".join(rows)


def resilience_table(measured: dict[str, Any]) -> str:
    """Return what checkpoints, comparisons and batches cost."""
    saved, batch = measured["checkpoint"], measured["batch"]
    rows = [
        "| being hard to break costs | 2 processes |",
        "|---|---|",
        f"| a checkpoint of {saved['megabytes']:.0f} MB stops training, asynchronous (as it is) | "
        f"{saved['async_call_ms']:.0f} ms = {saved['async_call_steps']:.1f} steps |",
        f"| the same, waited for | {saved['sync_call_ms']:.0f} ms = {saved['sync_call_steps']:.1f} steps |",
        f"| added to 20 steps on the same two cores, asynchronous / waited for | "
        f"{saved['async_added_ms']:.0f} / {saved['sync_added_ms']:.0f} ms |",
    ]
    for recipe, found in measured["replicas"].items():
        rows.append(
            f"| {recipe}, {found['parameters']:,} parameters: hashing each step's gradients, comparing replicas | "
            f"{found['hash_share']:.2%}, {found['comparison_share']:.3%} of a step |"
        )
    rows.append(
        f"| batch prediction, 1 process and 2 | {batch['one_rank_samples_per_s']:,.0f} and "
        f"{batch['two_ranks_samples_per_s']:,.0f} samples/s ({batch['ratio']:.2f}x) |"
    )
    return "\n".join(rows)


def replace_block(text: str, block: str, begins: str = BEGIN, ends: str = END) -> str:
    """Return a text whose part between the markers is the block."""
    before, begin, rest = text.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise ValueError(f"the text must hold {begins} and {ends}, one of them is missing; put them back")
    return f"{before}{begins}\n{block}\n{ends}{after}"
