"""Moto as it comes, for tests of what we mend of it: a patch that they put on goes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from moto import mock_aws

from infra.rehearsal import patches

REGION = "eu-central-1"


@pytest.fixture
def unpatched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fresh account, and moto as it was after each test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)  # the engine's tests leave theirs for the session
    # Its undo takes away what moto has not, and gives back what it has.
    monkeypatch.setattr(
        patches, "put", lambda owner, value, name: monkeypatch.setattr(owner, name, value, raising=False)
    )
    with mock_aws():
        yield


def client(service: str) -> Any:
    """Return a client of the mocked account."""
    return botocore.session.get_session().create_client(service, region_name=REGION)


def fails_without(patch: Callable[[], None], work: Callable[[], Any], error: type[Exception]) -> Any:
    """Return what works with a patch, and must fail before it."""
    with pytest.raises(error):
        work()
    patch()
    return work()
