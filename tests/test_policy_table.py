"""The page of policies says what is true today."""

from __future__ import annotations

from tests import policy_peer
from tests.policy_table import PAGE, ours, page


def test_the_page_is_what_the_program_does() -> None:
    """Whoever changes a row, the program or a reason makes the page again."""
    assert PAGE.read_text() == page(), "make it again: uv run python -m tests.policy_table"


def test_58_rows_pass_and_5_are_recorded() -> None:
    """The figure of the issue; no row fails."""
    words = [ours(number).split()[0] for number in range(1, 64)]
    assert (words.count("fail"), words.count("exception"), words.count("not")) == (0, 3, 2)
    assert words.count("pass") == 58


def test_the_template_is_told_as_it_was_read() -> None:
    """The tally of the survey: 14 pass, 29 fail, 2 open, 18 of nothing made."""
    words = [policy_peer.word(number) for number in range(1, 64)]
    assert [words.count(word) for word in ("pass", "fail", "?", "not made")] == [14, 29, 2, 18]
