"""Rules of single settings: what they say, what they hold, and how a text is read as a value."""

from __future__ import annotations

from typing import Any

import pytest

from infra.rules import Rule, SettingError, between, entries, matches, network, one_of, read, switch

SMALL = between(2, 5, "nodes")


@pytest.mark.parametrize(
    ("text", "kind", "rule", "value"),
    [
        ("2", int, SMALL, 2),
        ("5", int, SMALL, 5),
        ("true", bool, switch(), True),
        ("false", bool, switch(), False),
        ("b", str, one_of("a", "b"), "b"),
        ("", str, matches("x+", "x", "x", empty=True), ""),
        ("10.0.0.0/20", str, network(16, 20, private=True), "10.0.0.0/20"),
        ("[]", list, entries(one_of("a", "b")), ()),
        ('["b","a"]', list, entries(one_of("a", "b")), ("b", "a")),
    ],
)
def test_a_right_text_is_read_as_its_type(text: str, kind: Any, rule: Rule, value: object) -> None:
    """The engine hands over texts; lists are JSON."""
    assert read("name", text, kind, rule) == value


@pytest.mark.parametrize(
    ("text", "kind", "rule", "message"),
    [
        ("6", int, SMALL, "name must be 2 to 5 nodes, got `6`; for example: pulumi config set name 5"),
        ("-6", int, SMALL, "name must be 2 to 5 nodes, got `-6`; for example: pulumi config set name 2"),
        (
            "٣",
            int,
            SMALL,
            "name must be a whole number, 2 to 5 nodes, got `٣`; for example: pulumi config set name 2",
        ),
        (
            "True",
            bool,
            switch(),
            "name must be true or false, got `True`; for example: pulumi config set name true",
        ),
        ("c", str, one_of("a", "b"), "name must be a or b, got `c`; for example: pulumi config set name a"),
        (
            "\x1b[31m",
            str,
            one_of("a", "b"),
            "name must be a or b, got `\\x1b[31m`; for example: pulumi config set name a",
        ),
        (
            "c" * 90,
            str,
            one_of("a", "b"),
            f"name must be a or b, got `{'c' * 80}…`; for example: pulumi config set name a",
        ),
        (
            '["a","c"]',
            list,
            entries(one_of("a", "b")),
            "name[1] must be a or b, got `c`; for example: pulumi config set --path 'name[1]' a",
        ),
        (
            '["a","a"]',
            list,
            entries(one_of("a", "b")),
            "name must name nothing twice, got `a` twice; take one of them out",
        ),
        (
            '["a","b"]',
            list,
            entries(one_of("a", "b"), most=1),
            "name must have 0 to 1 entries, got 2; for example: pulumi config set --path 'name[0]' a",
        ),
    ],
)
def test_a_wrong_text_is_refused_with_one_line(text: str, kind: Any, rule: Rule, message: str) -> None:
    """Name, rule, value and next step; nothing that a terminal would act on."""
    with pytest.raises(SettingError) as error:
        read("name", text, kind, rule)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "outside", ["172.32.0.0/16", "192.169.0.0/16", "11.0.0.0/16", "10.0.0.0", "10.0.0.0/33"]
)
def test_a_network_that_is_not_private_is_seen(outside: str) -> None:
    """The three private ranges end where the standard says."""
    assert not network(8, 32, private=True).holds(outside)
