"""A preview of a program by the real engine with the real policy pack, without any cloud."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pulumi import automation
from rich.console import Console

from infra.rehearsal.engine import require_engine
from infra.rehearsal.stack import deploy
from tests.preview_provider import serving
from tests.stacks import answers, stack_file

PACK = Path(__file__).parent / "policy"
HOST = "pulumi-language-python"
"""With it on PATH the engine starts packs by it; an old one would run the project in the pack's place."""


class NoPackError(Exception):
    """The pack's environment cannot be made here."""


def prepare() -> Path:
    """Make the pack's environment from its lock, and return the engine's folder.

    Raises:
        NoPackError: uv is missing, or its packages cannot be fetched.
        InputError: there is no engine and none can be had.
    """
    if shutil.which("uv") is None:
        raise NoPackError("uv is not on PATH")
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    made = subprocess.run(
        ["uv", "sync", "--quiet", "--frozen", "--project", str(PACK)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if made.returncode:
        raise NoPackError(f"uv sync --project tests/policy failed: {made.stderr.strip()}")
    return require_engine(Console(stderr=True)).parent


def preview(stack: str, program: Callable[[], None], engine: Path, folder: Path) -> list[str]:
    """Preview a program under an example stack's settings and return what the engine said, line by line.

    Args:
        stack: `dev` or `prod`.
        program: what is previewed.
        engine: folder of the Pulumi CLI, which must be on this process's PATH too.
        folder: an empty one, for all that the engine keeps.
    """
    without_host = [one for one in os.environ["PATH"].split(os.pathsep) if not (Path(one) / HOST).exists()]
    said: list[str] = []
    region = stack_file(stack)["aws:region"]
    with serving(answers(region)) as port:
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(engine), str(PACK / "bin"), *without_host]),
            "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
            "PULUMI_BACKEND_URL": folder.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_HOME": str(folder / "home"),
        }
        deployment = deploy(stack, folder / "project", environment, settings={"aws:profile": "example"})
        with suppress(automation.CommandError):  # a mandatory row ends it so; the lines say which
            deployment.stack.preview(program=program, policy_packs=[str(PACK)], on_output=said.append)
    return said
