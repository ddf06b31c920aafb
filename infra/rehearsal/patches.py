"""What moto 5.2.5 does otherwise than AWS, mended: one function a defect, each with a test that fails without it."""

from __future__ import annotations

from collections.abc import Callable

VERSION = "5.2.5"
"""Of moto: another one is looked at again before it is used."""

PATCHES: tuple[Callable[[], None], ...] = ()
"""All of them, in the order in which they are put on."""


def apply() -> None:
    """Put all patches on this process's moto.

    Raises:
        RuntimeError: it is another version than the patches were written for.
    """
    import moto

    if moto.__version__ != VERSION:
        raise RuntimeError(f"moto must be {VERSION}, got {moto.__version__}; run uv sync")
    for patch in PATCHES:
        patch()
