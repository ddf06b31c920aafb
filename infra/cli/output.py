"""What a command leaves on stdout."""

from __future__ import annotations

import json
import sys
from typing import Any


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on a line of stdout: data, not a message."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
