"""What a setting's value must be: small rules that name themselves. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LONGEST = 80
"""Characters of a received value that a message shows."""


class SettingError(ValueError):
    """A stack setting breaks a rule: one line that names setting, rule, value received and next step."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of one setting."""

    says: str
    """What comes after `must be` in a message, with the unit and the range."""
    example: str
    """A value that keeps the rule, as it is typed after `pulumi config set NAME`."""
    holds: Callable[[Any], bool]
    """Whether a value of the right type keeps the rule; of a list, it is asked for each entry."""
    nearest: Callable[[int], int] | None = None
    """Of a range: the number in it that is nearest to one outside."""
    most: int = 40
    """Entries that a list may have."""
    least: int = 0
    """Entries that a list must have."""


def between(low: int, high: int, unit: str) -> Rule:
    """Return the rule of a whole number in a range, both ends in it."""
    return Rule(
        says=f"{low} to {high} {unit}",
        example=str(low),
        holds=lambda value: low <= value <= high,
        nearest=lambda value: min(max(value, low), high),
    )


def one_of(*words: str | int, unit: str = "") -> Rule:
    """Return the rule of a choice."""
    listed = f"{', '.join(map(str, words[:-1]))} or {words[-1]}"
    return Rule(says=f"{listed} {unit}".strip(), example=str(words[0]), holds=lambda value: value in words)


def matches(pattern: str, says: str, example: str, *, empty: bool = False) -> Rule:
    """Return the rule of a text's form.

    Args:
        pattern: of the whole text.
        says: the form in words.
        example: a text of that form.
        empty: whether the empty text is right too.
    """
    form = re.compile(pattern)
    return Rule(
        says=f"{says}, or empty" if empty else says,
        example=example,
        holds=lambda value: form.fullmatch(value) is not None or (empty and not value),
    )


def switch() -> Rule:
    """Return the rule of a yes or no."""
    return Rule(says="true or false", example="true", holds=lambda _: True)


def entries(rule: Rule, *, least: int = 0, most: int = 40) -> Rule:
    """Return the rule of a list whose every entry keeps a rule."""
    return Rule(says=rule.says, example=rule.example, holds=rule.holds, least=least, most=most)


def network(shortest: int, longest: int, *, private: bool) -> Rule:
    """Return the rule of an IPv4 network, written with its first address.

    Args:
        shortest: prefix of the largest network.
        longest: prefix of the smallest one.
        private: it must lie in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.
    """
    inside = [ipaddress.IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]

    def holds(value: str) -> bool:
        try:
            wanted = ipaddress.IPv4Network(value)
        except ValueError:
            return False
        fits = "/" in value and shortest <= wanted.prefixlen <= longest
        return fits and (not private or any(wanted.subnet_of(one) for one in inside))

    kind = "a private IPv4 network" if private else "an IPv4 network"
    example = "10.20.0.0/16" if private else "192.0.2.0/24"
    return Rule(says=f"{kind} from /{shortest} to /{longest}, as {example}", example=example, holds=holds)


def read(name: str, text: str, kind: Any, rule: Rule) -> Any:  # noqa: ANN401 - the field's own type decides
    """Return a setting's text as its value.

    Args:
        name: of the setting, as in Pulumi.yaml.
        text: as the engine hands it over; a list is JSON.
        kind: `str`, `int`, `bool`, or anything else for a list of texts.
        rule: that the value must keep.

    Raises:
        SettingError: another type, or a value that breaks the rule.
    """
    if kind is str:
        return _kept(name, text, rule)
    if kind is bool:
        if text not in ("true", "false"):
            raise _broken(name, text, rule)
        return text == "true"
    if kind is int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise _broken(name, text, rule, "a whole number, ")
        return _kept(name, int(text), rule)
    return _entries(name, text, rule)


def _entries(name: str, text: str, rule: Rule) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise SettingError(
            f"{name} must be a list of texts, each {rule.says}, got `{_shown(text)}`; "
            f"for example: {command(f'{name}[0]', rule.example)}"
        )
    if not rule.least <= len(found) <= rule.most:
        many = f"{name} must have {rule.least} to {rule.most} entries, got {len(found)}"
        raise SettingError(f"{many}; for example: {command(f'{name}[0]', rule.example)}")
    if len(set(found)) < len(found):
        twice = next(one for at, one in enumerate(found) if one in found[:at])
        raise SettingError(f"{name} must name nothing twice, got `{twice}` twice; take one of them out")
    return tuple(_kept(f"{name}[{at}]", one, rule) for at, one in enumerate(found))


def _kept(name: str, value: Any, rule: Rule) -> Any:  # noqa: ANN401 - as `read`
    if not rule.holds(value):
        raise _broken(name, value, rule)
    return value


def _broken(name: str, value: str | int, rule: Rule, more: str = "") -> SettingError:
    example = rule.example
    if isinstance(value, int) and rule.nearest:
        example = str(rule.nearest(value))
    return SettingError(
        f"{name} must be {more}{rule.says}, got `{_shown(str(value))}`; for example: {command(name, example)}"
    )


def _shown(text: str) -> str:
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in cut)


def command(name: str, value: str) -> str:
    """Return the command that sets a setting, or one entry of a list."""
    if "[" in name:
        return f"pulumi config set --path '{name}' {value}"
    return f"pulumi config set {name} {value}"
