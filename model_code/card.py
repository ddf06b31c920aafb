"""The model card that goes with a release: what it is, how good, how it was made smaller. Pure."""

from __future__ import annotations

from typing import Any


def model_card(report: dict[str, Any]) -> str:
    """Return the card (Markdown) of the candidate that a gate report chose."""
    chosen = next(c for c in report["candidates"] if c["name"] == report["chosen"])
    base, data, metric = report["baseline"], report["dataset"], report["metric_name"].replace("_", " ")
    serving = "latency_ms_serving_batch"
    return f"""# {report["name"]}

A `{report["family"]}` model for the data set `{data["dataset"]}` (version `{data["version"]}`), trained in run
`{report["run_id"]}` and compressed as `{chosen["name"]}`.

| | uncompressed | this release |
|---|---|---|
| {metric} on {data["test_samples"]} held-out samples | {base["metric"]:.4f} | {chosen["metric"]:.4f} |
| archive, bytes | {base["size_bytes"]:,} | {chosen["size_bytes"]:,} |
| latency, 1 sample, 1 thread, ms | {base["latency_ms_batch1"]:.2f} | {chosen["latency_ms_batch1"]:.2f} |
| latency, serving batch, 1 thread, ms | {base[serving]:.2f} | {chosen[serving]:.2f} |

The gate asked for {report["required_ratio"]:.3f} of the uncompressed quality and measured {chosen["ratio"]:.4f}, on
the packaged archive, loaded as the server loads it. Latencies are of the machine named in `report.json`; the report
with every candidate is `report.html`.

Limits: the quality holds for inputs like the held-out ones. Nothing here was tested for bias, safety or misuse.
"""
