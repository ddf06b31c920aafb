"""One emulated account and one `up` a stack for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.rehearsal.stack import Deployment, deploy
from tests.engine.cloud import Cloud, start_cloud


@contextmanager
def deployable(cloud: Cloud, name: str, folder: Path, **settings: object) -> Iterator[Deployment]:
    """Yield an example stack that is not up; the Automation API and the program see the emulated account."""
    environment = cloud.environment(folder)
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        yield deploy(name, folder / "stack", environment, settings={**cloud.settings(), **settings})


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The account of stack `dev`."""
    with start_cloud(tmp_path_factory.mktemp("cloud")) as started:
        yield started


@pytest.fixture(scope="session")
def dev(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Stack `dev`, up. A test that changes it puts it back."""
    with deployable(cloud, "dev", tmp_path_factory.mktemp("dev")) as stack:
        stack.up()
        yield stack


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Stack `prod`, up in an account of its own, which has the zone of its domain."""
    folder = tmp_path_factory.mktemp("prod")
    with (
        start_cloud(folder / "cloud") as started,
        deployable(started, "prod", folder, **{"skylift:hostedZoneId": started.zone()}) as stack,
    ):
        stack.up()
        yield stack
