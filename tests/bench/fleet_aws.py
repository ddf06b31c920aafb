"""What the nodes of the simulation ask: an S3 with conditional writes, an Auto Scaling group, and who asked how often.

Held in memory, and answered after the time that a request takes: between a node's reading and its writing others write.
moto would answer all that too, a thousand times slower.
"""

from __future__ import annotations

import datetime
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError

READ_SECONDS, WRITE_SECONDS, ASK_SECONDS = 0.02, 0.04, 0.15
"""What a GET, a PUT and a call of an API take (assumed)."""
PAGE = 1000
"""Names or instances of one answer, as AWS gives them."""


@dataclass
class Bill:
    """Who asked what, how often and when."""

    calls: Counter[str] = field(default_factory=Counter)
    """Operation -> how often."""
    bytes: Counter[str] = field(default_factory=Counter)
    """Operation -> bytes (S3), or records (APIs) of the answers."""
    seconds: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Service and second -> calls."""

    def add(self, now: float, service: str, operation: str, size: int = 0) -> None:
        """Write a call down."""
        self.calls[f"{service}:{operation}"] += 1
        self.bytes[f"{service}:{operation}"] += size
        self.seconds[service, int(now)] += 1

    def of(self, service: str) -> int:
        """Return the calls of a service."""
        return sum(count for name, count in self.calls.items() if name.startswith(f"{service}:"))

    def size(self, service: str) -> int:
        """Return bytes, or records, of a service's answers."""
        return sum(count for name, count in self.bytes.items() if name.startswith(f"{service}:"))

    def peak(self, service: str) -> int:
        """Return the calls of the busiest second."""
        return max((count for (name, _), count in self.seconds.items() if name == service), default=0)

    def clear(self) -> None:
        """Begin anew."""
        for counter in (self.calls, self.bytes, self.seconds):
            counter.clear()


class Answer:
    """An object, as obstore gives it."""

    def __init__(self, content: bytes, etag: str) -> None:
        """Take its bytes."""
        self._content = content
        self.meta = {"e_tag": etag, "size": len(content)}
        """What is known of it."""

    def stream(self, **_: int) -> Iterator[bytes]:
        """Return its bytes, in one part."""
        yield self._content

    def bytes(self) -> bytes:
        """Return its bytes."""
        return self._content


class Bucket:
    """obstore's functions on objects in memory."""

    def __init__(self, bill: Bill, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """Hold nothing yet.

        Args:
            bill: where requests are written down.
            clock: the time.
            sleep: lets a request take its time.
        """
        self._bill, self._clock, self._sleep = bill, clock, sleep
        self.objects: dict[str, tuple[bytes, str]] = {}
        """Key -> bytes and tag."""
        self._versions = 0

    def get(self, _: object, key: str, options: Mapping[str, str] | None = None) -> Answer:
        """Return an object; `options` may hold `if_none_match`."""
        self._sleep(READ_SECONDS)
        content, etag = self.objects.get(key, (b"", ""))
        if not etag:
            self._bill.add(self._clock(), "s3", "GET 404")
            raise FileNotFoundError(key)
        if (options or {}).get("if_none_match") == etag:
            self._bill.add(self._clock(), "s3", "GET 304")
            raise NotModifiedError(key)
        self._bill.add(self._clock(), "s3", "GET", len(content))
        return Answer(content, etag)

    def put(self, _: object, key: str, content: bytes, mode: Any = None, **__: object) -> None:
        """Write an object: always, where there is none (`create`), or over the one that a tag names."""
        self._sleep(WRITE_SECONDS)
        etag = self.objects.get(key, (b"", ""))[1]
        if mode == "create" and etag:
            self._bill.add(self._clock(), "s3", "PUT 412")
            raise AlreadyExistsError(key)
        if isinstance(mode, dict) and mode["e_tag"] != etag:
            self._bill.add(self._clock(), "s3", "PUT 412")
            raise PreconditionError(key)
        self._bill.add(self._clock(), "s3", "PUT", len(content))
        self._versions += 1
        # An object under a KMS key has another tag after each write, whatever its bytes.
        tag = hashlib.md5(content + str(self._versions).encode(), usedforsecurity=False).hexdigest()
        self.objects[key] = content, tag

    def delete(self, _: object, key: str) -> None:
        """Delete an object."""
        self._sleep(WRITE_SECONDS)
        self._bill.add(self._clock(), "s3", "DELETE")
        self.objects.pop(key, None)

    def list_with_delimiter(self, _: object, prefix: str | None = None) -> dict[str, Any]:
        """Return what lies directly below a prefix; a thousand names a request."""
        below = f"{prefix}/" if prefix else ""
        found = self._below(below)
        for _page in range(len(found) // PAGE + 1):
            self._sleep(READ_SECONDS)
            self._bill.add(self._clock(), "s3", "LIST", 300 * min(PAGE, len(found)))
        listed = [{"path": key, "e_tag": self.objects[key][1]} for key in self._below(below)]
        return {"objects": listed, "common_prefixes": []}

    def _below(self, prefix: str) -> list[str]:
        return [key for key in self.objects if key.startswith(prefix) and "/" not in key[len(prefix) :]]


class Group:
    """An Auto Scaling group, asked in botocore's words; it stands for both clients."""

    def __init__(self, bill: Bill, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """Have no instances yet.

        Args:
            bill: where calls are written down.
            clock: the time.
            sleep: lets a call take its time.
        """
        self._bill, self._clock, self._sleep = bill, clock, sleep
        self.ids: list[str] = []
        """Instances in service."""

    def describe_auto_scaling_groups(self, **_: object) -> dict[str, Any]:
        """Return the group and all its instances."""
        self._asked("autoscaling", "DescribeAutoScalingGroups", len(self.ids))
        listed = [{"InstanceId": one, "LifecycleState": "InService"} for one in self.ids]
        return {"AutoScalingGroups": [{"Instances": listed, "MinSize": 0}]}

    def get_paginator(self, _: str) -> Group:
        """Return what `paginate` is asked of."""
        return self

    def paginate(self, **_: object) -> Iterator[dict[str, Any]]:
        """Return the pages of DescribeInstances."""
        for at in range(0, max(1, len(self.ids)), PAGE):
            page = self.ids[at : at + PAGE]
            self._asked("ec2", "DescribeInstances", len(page))
            yield {"Reservations": [{"Instances": [self._instance(one) for one in page]}]}

    def _asked(self, service: str, operation: str, records: int) -> None:
        self._sleep(ASK_SECONDS)
        self._bill.add(self._clock(), service, operation, records)

    def _instance(self, name: str) -> dict[str, Any]:
        number = int(name.removeprefix("i-"), 16)
        return {
            "InstanceId": name,
            "PrivateIpAddress": f"10.20.{number // 250}.{number % 250 + 4}",
            "LaunchTime": datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC),  # all at once: ids decide
        }
