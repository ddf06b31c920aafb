"""What tests of the rehearsal share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rehearsal.node_account import Account
from tests.rehearsal.node_deployment import start_account


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An emulated account with the program's policies; one for all tests, which leave it as it was."""
    with start_account(tmp_path_factory.mktemp("account")) as started:
        yield started
