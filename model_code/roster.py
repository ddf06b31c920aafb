"""`members.json`: read by every node, changed by compare-and-swap only."""

from __future__ import annotations

from collections.abc import Callable

from model_code import store
from model_code.membership import Members, decoded

FILE = "members.json"


class Roster:
    """The file of one run."""

    def __init__(self, run: str) -> None:
        """Take the run's URI."""
        self._uri = store.join(run, FILE)

    def read(self) -> Members | None:
        """Return what it says, None where nobody wrote it yet."""
        try:
            return decoded(store.read(self._uri), self._uri)
        except FileNotFoundError:
            return None

    def change(self, how: Callable[[Members], Members]) -> Members:
        """Replace what it says by what `how` makes of it, whatever others write meanwhile; return what it says now.

        Args:
            how: from the members before to those after; called again when somebody else was faster.
        """
        while True:
            try:
                content, etag = store.read_with_etag(self._uri)
                before = decoded(content, self._uri)
            except FileNotFoundError:
                before, etag = Members(), ""
            after = how(before)
            if after == before:
                return before
            try:
                if etag:
                    store.replace(self._uri, after.encoded(), etag)
                else:
                    store.create(self._uri, after.encoded())
            except store.ConflictError:
                continue
            return after
