"""Where the command line speaks: data on stdout, one JSON object a line; everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

progress = Console(stderr=True)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on a line of stdout: data, not a message."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
