"""What a training node is told: the environment that its boot script writes, read and checked in one place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from model_code import store
from model_code.errors import InputError
from model_code.kms_key import KmsKey

T = TypeVar("T")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """One node's part in one run."""

    region: str
    """AWS region, `AWS_REGION`."""
    group: str
    """Name of the node's own Auto Scaling group, `SKYLIFT_GROUP`."""
    metrics_namespace: str
    """Where CloudWatch keeps the run's figures, `SKYLIFT_METRICS_NAMESPACE`."""
    work: str
    """URI of the work bucket, `SKYLIFT_WORK`."""
    data: str
    """URI of the data bucket: where shards are written, `SKYLIFT_DATA`."""
    models: str
    """URI of the model store, `SKYLIFT_MODELS`."""
    source: str
    """`digits`, `text:URI`, `tokens:URI`, or the URI of ready shards, `SKYLIFT_SOURCE`."""
    recipe: str
    """Built-in recipe or `path/to/file.py:function`, `SKYLIFT_RECIPE`."""
    words: tuple[str, ...]
    """Overrides of the run's config, each `key=value`, `SKYLIFT_SETTINGS` (a JSON list)."""
    name: str
    """The model's name, `SKYLIFT_NAME`."""
    run_id: str
    """Name of the run's folder, `SKYLIFT_RUN_ID`."""
    signing_key: str
    """ARN of the KMS key that signs the release, `SKYLIFT_SIGNING_KEY`."""
    serve_bundle: str
    """URI of the serving room's zip, packed into the archive, `SKYLIFT_SERVE_BUNDLE`."""
    serve_bundle_sha256: str
    """What it must hash to, `SKYLIFT_SERVE_BUNDLE_SHA256`."""
    serve_group: str
    """Auto Scaling group that serves the release, `SKYLIFT_SERVE_GROUP`."""
    serve_floor: int
    """Nodes that serving is raised to after the first release, 0 or more, `SKYLIFT_SERVE_FLOOR`."""
    nodes: int
    """Nodes of the full group, 1 or more, `SKYLIFT_NODES`."""
    min_nodes: int
    """Fewest nodes that train, 1 to `nodes`, `SKYLIFT_MIN_NODES`."""
    wait_for_full_seconds: float
    """How long the group waits for missing nodes before it trains with fewer, `SKYLIFT_WAIT_FOR_FULL_SECONDS`."""
    processes: int
    """Training processes a node, `SKYLIFT_PROCESSES`; 0: one a GPU (one where there is none)."""
    poll_seconds: float = 5.0
    """Between two looks at the group (the leader's) or at `members.json` (the others'), `SKYLIFT_POLL_SECONDS`."""
    rendezvous_port: int = 29_400
    """First of ten TCP ports where the trainers of an epoch meet on the leader, `SKYLIFT_RENDEZVOUS_PORT`."""

    @property
    def runs(self) -> str:
        """URI below which every run has its folder."""
        return store.join(self.work, "runs")

    @property
    def run(self) -> str:
        """URI of the run's folder."""
        return store.join(self.runs, self.run_id)

    @property
    def training_words(self) -> list[str]:
        """The overrides of the training: a run is named by what it was trained with."""
        return [word for word in self.words if not word.removeprefix("--").startswith("compress.")]

    @property
    def compression_words(self) -> list[str]:
        """The overrides of compression and gate."""
        return [word for word in self.words if word.removeprefix("--").startswith("compress.")]


def read_settings(environment: Mapping[str, str]) -> NodeSettings:
    """Return what the environment says.

    Raises:
        InputError: a variable is missing or breaks its rule.
    """
    say = _Reader(environment)
    nodes = say.whole("SKYLIFT_NODES", 1, 1000)
    return NodeSettings(
        region=say.text("AWS_REGION"),
        group=say.text("SKYLIFT_GROUP"),
        metrics_namespace=say.text("SKYLIFT_METRICS_NAMESPACE"),
        work=say.uri("SKYLIFT_WORK"),
        data=say.uri("SKYLIFT_DATA"),
        models=say.uri("SKYLIFT_MODELS"),
        source=say.text("SKYLIFT_SOURCE"),
        recipe=say.text("SKYLIFT_RECIPE"),
        words=say.checked("SKYLIFT_SETTINGS", _words, 'a JSON list of "key=value"', default="[]"),
        name=say.matching("SKYLIFT_NAME", NAME, "1 to 63 of a-z, 0-9 and -"),
        run_id=say.matching("SKYLIFT_RUN_ID", RUN_ID, "1 to 128 of A-Z, a-z, 0-9, ., _ and -"),
        signing_key=say.checked("SKYLIFT_SIGNING_KEY", lambda arn: KmsKey(arn).arn, "a KMS key's ARN"),
        serve_bundle=say.uri("SKYLIFT_SERVE_BUNDLE"),
        serve_bundle_sha256=say.matching("SKYLIFT_SERVE_BUNDLE_SHA256", SHA256, "64 hexadecimal digits"),
        serve_group=say.text("SKYLIFT_SERVE_GROUP"),
        serve_floor=say.whole("SKYLIFT_SERVE_FLOOR", 0, 10_000),
        nodes=nodes,
        min_nodes=say.whole("SKYLIFT_MIN_NODES", 1, nodes),
        wait_for_full_seconds=say.number("SKYLIFT_WAIT_FOR_FULL_SECONDS", 0, 86_400),
        processes=say.whole("SKYLIFT_PROCESSES", 0, 64),
        poll_seconds=say.number("SKYLIFT_POLL_SECONDS", 0.05, 60, default="5"),
        rendezvous_port=say.whole("SKYLIFT_RENDEZVOUS_PORT", 1024, 65_500, default="29400"),
    )


class _Reader:
    """An environment whose missing and wrong values are named."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str, default: str = "") -> str:
        value = self._environment.get(name, "") or default
        if not value:
            raise InputError(
                f"{name} must be set, it is not; the node's user data writes it: run `pulumi up`"
            )
        return value

    def checked(self, name: str, read: Callable[[str], T], rule: str, default: str = "") -> T:
        value = self.text(name, default)
        try:
            return read(value)
        except ValueError:  # InputErrors are such
            raise InputError(f"{name} must be {rule}, got `{value}`; correct the stack's setting") from None

    def uri(self, name: str) -> str:
        return self.checked(name, store.as_uri, "file:///PATH or s3://BUCKET").rstrip("/")

    def matching(self, name: str, pattern: re.Pattern[str], rule: str) -> str:
        def match(text: str) -> str:
            if not pattern.fullmatch(text):
                raise ValueError
            return text

        return self.checked(name, match, rule)

    def whole(self, name: str, low: int, high: int, default: str = "") -> int:
        return self.checked(name, lambda text: _between(int(text), low, high), f"{low} to {high}", default)

    def number(self, name: str, low: float, high: float, default: str = "") -> float:
        rule = f"a number from {low:g} to {high:g}"
        return self.checked(name, lambda text: _between(float(text), low, high), rule, default)


N = TypeVar("N", int, float)


def _between(value: N, low: float, high: float) -> N:
    if not low <= value <= high:
        raise ValueError
    return value


def _words(text: str) -> tuple[str, ...]:
    words = json.loads(text)
    if not isinstance(words, list) or not all(isinstance(word, str) and "=" in word for word in words):
        raise ValueError
    return tuple(words)
