"""Functions of the user's own, named as `path/to/file.py:function`: recipes and model builders."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_code.errors import InputError, unknown_key


def split_name(name: str, setting: str) -> tuple[Path, str]:
    """Return file and function of `path/to/file.py:function`.

    Raises:
        InputError: the name has no function or the file does not exist.
    """
    file, _, function = name.rpartition(":")
    if not file or not function.isidentifier():
        raise InputError(f"{setting} must be path/to/file.py:function, got `{name}`")
    try:
        path = Path(file).expanduser()
        found = path.is_file()
    except (OSError, RuntimeError):  # a name that no file can have, or a user that is not there
        found = False
    if not found:
        raise InputError(
            f"{setting} names the file `{file}`, which does not exist; write path/to/file.py:function"
        )
    return path.resolve(), function


def load_function(name: str, setting: str) -> Callable[..., Any]:
    """Import a file by its path and return one of its functions.

    Args:
        name: `path/to/file.py:function`, the path absolute or relative to the working directory.
        setting: what the name was given for, used in messages.

    Raises:
        InputError: the file does not exist, cannot be imported, or has no such function.
    """
    path, function = split_name(name, setting)
    spec = importlib.util.spec_from_file_location(f"skylift_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{setting} must name a Python file (.py), got `{path}`")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and torch look a class's module up by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(
            f"{setting} `{path}` cannot be imported: {type(error).__name__}: {error}; run it with python to see where"
        ) from error
    found = getattr(module, function, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown_key(f"function in {path.name}", function, known)
    return found  # type: ignore[no-any-return]
