"""What a rehearsal found out: everything that the closing table and the report say, and `result.json` holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from infra.rehearsal.provider.row import Kind

INTERRUPTED = "it was interrupted"
"""Outcome of one that was asked to end before it was over."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where and with what it ran."""

    date: str
    """When it began, UTC, ISO 8601."""
    cpu: str
    """The processor's name."""
    cores: int
    """Cores that this process may use."""
    memory_gb: float
    """Memory of the machine, in GB (10^9 bytes)."""
    system: str
    """Distribution and kernel."""
    versions: dict[str, str]
    """Version of everything that matters to the outcome, by name: `python`, `pulumi`, `moto`, `haproxy`, …"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was rehearsed, as the stack's settings say."""

    stack: str
    """The stack's name."""
    region: str
    """Its region."""
    recipe: str
    """What was trained, and how."""
    data: str
    """With which data."""
    train_types: tuple[str, ...]
    """Instance types of the training group, none of which was used: a CPU stood in."""
    serve_types: tuple[str, ...]
    """Instance types of the serving group, likewise."""


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """One stage of the rehearsal."""

    name: str
    """As told in its event."""
    begun: float
    """When, in seconds since the epoch."""
    seconds: float
    """How long it took, by the wall."""
    failed: bool = False
    """Whether it ended by an error."""


@dataclass(frozen=True, kw_only=True)
class NodeTime:
    """One node, from its launch to its end."""

    name: str
    """For people: `train-1`."""
    instance: str
    """Instance id."""
    address: str
    """Private IPv4 address."""
    room: str
    """`train` or `serve`."""
    seconds: float
    """From its launch to its end, or to the end of the rehearsal: what AWS would bill."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the training went."""

    run_id: str
    """The run."""
    nodes: int
    """Nodes that trained at once when it ended."""
    processes: int
    """Ranks in all when it ended."""
    steps: int
    """Optimizer steps."""
    seconds: float
    """Of the last start: time from its first to its last step."""
    samples_per_s: float
    """Samples a second over all steps."""
    parameters: int
    """Of the network before it was compressed."""
    restarts: int
    """Times that the nodes started again after the first start, whatever made them."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network that the gate judged, or the uncompressed one."""

    name: str
    """As `prune-50`."""
    metric: float
    """Quality on held-out data."""
    ratio: float
    """Quality relative to the uncompressed network's; 1.0 is as good."""
    cost: float
    """Geometric mean of size and latencies relative to the uncompressed network's; below 1.0 is cheaper."""
    size_bytes: int
    """Of the packaged archive."""
    latency_ms: float
    """Median time of one sample on one thread."""
    passed: bool
    """Whether the gate let it through."""
    reason: str = ""
    """Why not."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """What the gate said, and what was published."""

    name: str
    """The model's name."""
    version: str
    """The release; empty: nothing was published."""
    metric_name: str
    """What `Candidate.metric` measures, as `accuracy`."""
    required: float
    """The gate: least `Candidate.ratio` that passes."""
    chosen: str
    """Name of the candidate that was released; empty: none passed."""
    baseline: Candidate
    """The uncompressed network."""
    candidates: tuple[Candidate, ...]
    """All that were judged, in that order."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How the held-out set was answered through the load balancer."""

    requests: int
    """Sent."""
    failed: int
    """Not answered by 200."""
    agreeing: int
    """Answered as the release answers without a server."""
    correct: int | None
    """Answered by the right label; None where there are no labels."""
    seconds: float
    """From the first request to the last answer."""
    concurrency: int
    """Requests in flight at once, at most."""
    latencies_ms: tuple[float, ...]
    """Of each request, as the client saw it, in the requests' order."""

    @property
    def requests_per_s(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


@dataclass(frozen=True, kw_only=True)
class Resources:
    """How many resources of one type the program made, and what stood behind them."""

    type: str
    """Type token, as `aws:s3/bucket:Bucket`."""
    count: int
    """How many."""
    kind: Kind
    """Emulated, emulated as patched by us, or nothing but a record."""


@dataclass(frozen=True, kw_only=True)
class Calls:
    """Calls of the AWS API by one caller."""

    who: str
    """`operator` or a role's name."""
    service: str
    """As `s3`."""
    action: str
    """As `PutObject`."""
    allowed: int
    """Calls that its policies let through."""
    denied: int
    """Calls that they did not."""


@dataclass(frozen=True, kw_only=True)
class CostPart:
    """One line of what the same run would have cost on AWS, in US dollars."""

    name: str
    """What costs."""
    low: float
    """At best."""
    high: float
    """At worst."""
    note: str
    """How it was counted."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the same run would have cost on AWS: an estimate."""

    region: str
    """Whose prices."""
    price_date: str
    """Day of the price table."""
    parts: tuple[CostPart, ...]
    """The lines, nodes first."""

    @property
    def low(self) -> float:
        """US dollars at best."""
        return sum(part.low for part in self.parts)

    @property
    def high(self) -> float:
        """US dollars at worst."""
        return sum(part.high for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault that was injected, and what came of it."""

    name: str
    """The scenario, as `leader-killed`."""
    must_hold: str
    """What is promised, in one line."""
    measured: str
    """What was seen, in one line, with its figures."""
    held: bool
    """Whether the promise was kept."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One rehearsal. What it did not come to is None or empty."""

    outcome: str
    """Empty: it went through; else why not, in one line."""
    environment: Environment
    """Where it ran."""
    asked: Asked
    """What was asked for."""
    stages: tuple[StageTime, ...]
    """In the order in which they began."""
    nodes: tuple[NodeTime, ...]
    """In the order of their launch."""
    training: Training | None = None
    """How the training went."""
    release: Release | None = None
    """What the gate said, and what was published."""
    serving: Serving | None = None
    """How requests were answered."""
    resources: tuple[Resources, ...] = ()
    """What the program made, by type."""
    calls: tuple[Calls, ...] = ()
    """Calls of the AWS API."""
    denials: tuple[str, ...] = ()
    """What the nodes' policies refused, one line each with the statement that is missing."""
    cost: Cost | None = None
    """What it would have cost on AWS."""
    faults: tuple[Fault, ...] = ()
    """What was injected."""
    left: tuple[str, ...] | None = None
    """What was left after everything was destroyed; None: it was kept."""

    def to_json(self) -> bytes:
        """Return it as `result.json` holds it."""
        return _RESULT.dump_json(self, indent=1) + b"\n"


_RESULT: TypeAdapter[Any] = TypeAdapter(Result)


def from_json(content: bytes) -> Result:
    """Return what a `result.json` holds.

    Raises:
        pydantic.ValidationError: this version did not write it.
    """
    result: Result = _RESULT.validate_json(content)
    return result
