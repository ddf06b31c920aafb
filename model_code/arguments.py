"""Command lines of stages: what is wrong with one is an InputError like every other."""

from __future__ import annotations

import argparse
from typing import NoReturn

from model_code.errors import InputError


class Arguments(argparse.ArgumentParser):
    """Command line whose errors are InputErrors, like every other one."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise InputError(f"{message}; see --help")
