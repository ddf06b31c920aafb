"""Golden answers: an answer that is none is a difference, not an error of ours."""

from __future__ import annotations

from serve_config.golden import Golden, difference


def test_an_answer_that_is_no_json_differs() -> None:
    """A handler may answer anything with status 200."""
    golden = Golden(content_type="text/plain", body=b"x", answer={"label": "3"})
    assert "answer is not JSON: b'<html>" in (difference(golden, 200, b"<html>") or "")
