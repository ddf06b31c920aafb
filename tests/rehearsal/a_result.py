"""A result of a rehearsal that went well, for the tests of what shows it, and where its story lies.

Both are made by hand, after real ones: the story has in 86 lines what no single rehearsal has, and those that have most
of it are hundreds of lines long: a training node that is lost and replaced, a refusal, an alarm, a word of every kind.
"""

from __future__ import annotations

from pathlib import Path

from infra.rehearsal.result import (
    Asked,
    Calls,
    Candidate,
    Cost,
    CostPart,
    Environment,
    NodeTime,
    Release,
    Resources,
    Result,
    Serving,
    StageTime,
    Training,
)

STORY = Path(__file__).with_name("story_of_a_run.jsonl")
BEGUN = 1_795_831_200.0
"""Its first event."""
BASELINE = Candidate(
    name="uncompressed", metric=0.98, ratio=1.0, cost=1.0, size_bytes=4_000_000, latency_ms=2.0, passed=True
)
CANDIDATES = (
    Candidate(
        name="runtime", metric=0.98, ratio=1.0, cost=0.8, size_bytes=3_600_000, latency_ms=1.4, passed=True
    ),
    Candidate(
        name="prune-50", metric=0.975, ratio=0.995, cost=0.3, size_bytes=800_000, latency_ms=0.5, passed=True
    ),
    Candidate(
        name="<int8>",
        metric=0.95,
        ratio=0.969,
        cost=0.4,
        size_bytes=1_100_000,
        latency_ms=0.6,
        passed=False,
        reason="keeps 0.9690 of the quality, 0.9900 is required",
    ),
)
STAGES = {
    "engine": 3.2,
    "up": 32.7,
    "boot": 20.9,
    "training": 54.9,
    "compress": 18.9,
    "publish": 5.0,
    "serve": 30.8,
    "requests": 7.2,
    "destroy": 23.0,
}


def a_result() -> Result:
    """Return it; every latency from 1 to 360 ms is in it once, so that percentiles are known."""
    stages, begun = [], BEGUN
    for name, seconds in STAGES.items():
        stages.append(StageTime(name=name, begun=begun, seconds=seconds))
        begun += seconds
    return Result(
        outcome="",
        environment=Environment(
            date="2026-11-28T02:00:00+00:00",
            cpu="AMD EPYC 7R13",
            cores=2,
            memory_gb=25.2,
            system="Debian GNU/Linux 12, Linux 6.18.0",
            versions={"python": "3.11.2", "pulumi": "3.230.0", "moto": "5.2.5"},
        ),
        asked=Asked(
            stack="rehearsal",
            region="eu-central-1",
            recipe="resnet",
            data="digits",
            train_types=("g6.xlarge", "g5.xlarge"),
            serve_types=("g6.xlarge",),
        ),
        stages=tuple(stages),
        nodes=tuple(
            NodeTime(
                name=f"{room}-{number}",
                instance=f"i-{room}{number}",
                address=f"10.20.32.{number}",
                room=room,
                seconds=90.0,
            )
            for room in ("train", "serve")
            for number in (1, 2)
        ),
        training=Training(
            run_id="a1b2c3d4e5f6",
            nodes=2,
            processes=2,
            steps=120,
            seconds=42.0,
            samples_per_s=366.0,
            parameters=272_474,
            restarts=1,
        ),
        release=Release(
            name="model",
            version="8f3a12c4e5d6",
            metric_name="accuracy",
            required=0.99,
            chosen="prune-50",
            baseline=BASELINE,
            candidates=CANDIDATES,
        ),
        serving=Serving(
            requests=360,
            failed=0,
            agreeing=360,
            correct=351,
            seconds=7.2,
            concurrency=16,
            latencies_ms=tuple(float(one) for one in range(1, 361)),
        ),
        resources=(
            Resources(type="aws:s3/bucket:Bucket", count=4, kind="emulated"),
            Resources(type="aws:autoscaling/group:Group", count=2, kind="patched"),
            Resources(type="aws:backup/plan:Plan", count=1, kind="recorded"),
        ),
        calls=(
            Calls(who="operator", service="s3", action="PutObject", allowed=40, denied=0),
            Calls(who="skylift-rehearsal-train", service="s3", action="GetObject", allowed=1200, denied=2),
        ),
        denials=("skylift-rehearsal-train: s3:GetObject on arn:aws:s3:::other/x, no statement allows it",),
        cost=Cost(
            region="eu-central-1",
            price_date="2026-11-24",
            parts=(CostPart(name="training nodes", low=0.01, high=0.05, note="3.0 node minutes"),),
        ),
        left=(),
    )
