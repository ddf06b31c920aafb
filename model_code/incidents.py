"""What went wrong in a run, one JSON object a line in `<run>/incidents.jsonl`, for whoever looks later."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from model_code import store
from model_code.checkpoint.files import FOLDER, MANIFEST

FILE = "incidents.jsonl"


def record(run: str, kind: str, **facts: Any) -> None:  # noqa: ANN401 - JSON
    """Add one incident. Any rank may: what two write at once is not lost.

    Args:
        run: the run's URI.
        kind: `hang`, `straggler`, `recovered`, `loss`, `replicas` or `lease`.
        facts: what is known of it, as JSON can hold it.
    """
    uri = store.join(run, FILE)
    row = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "kind": kind, **facts}
    line = (json.dumps(row) + "\n").encode()
    while True:
        try:
            content, etag = store.read_with_etag(uri)
        except FileNotFoundError:
            content, etag = b"", ""
        try:
            if etag:
                store.replace(uri, content + line, etag)
            else:
                store.create(uri, line)
        except store.ConflictError:
            continue
        return


def last_checkpoint(run: str) -> str:
    """Return where the next start will go on, in words: the newest complete checkpoint, or the beginning."""
    for name in reversed(store.names(store.join(run, FOLDER))):
        if store.exists(store.join(run, FOLDER, name, MANIFEST)):
            return name
    return "none, it begins anew"
