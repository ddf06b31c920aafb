"""CloudWatch's metric math, as far as our alarms have it. Pure.

The expressions are Python's but for AND, OR, && and ||, so Python's own parser reads them; what is not written below is
refused by name, and nothing is ever executed.
"""

from __future__ import annotations

import ast
import itertools
import operator
import re
from collections.abc import Callable, Mapping, Sequence

Series = Mapping[int, float]
"""Number of a period -> value; periods without data are not in it."""
Value = Series | float
"""A series, or a number that stands for itself in every period."""

_WORDS = {"AND": "and", "OR": "or", "&&": "and", "||": "or"}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISON: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class UnknownMathError(ValueError):
    """An expression has what this does not know."""


def evaluate(expression: str, metrics: Mapping[str, Series], periods: Sequence[int]) -> Series:
    """Return what an expression is in each of some periods.

    Args:
        expression: as `100 * FILL(errors, 0) / answers`.
        metrics: by the words that it calls them.
        periods: numbers of the periods that are looked at, ascending.

    Raises:
        UnknownMathError: it has a word, a function or a sign that this does not know.
    """
    text = re.sub(r"&&|\|\||\b(?:AND|OR)\b", lambda found: f" {_WORDS[found[0]]} ", expression)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise UnknownMathError(f"metric math must be an expression, got `{expression}`") from error
    found = _Math(expression, metrics, periods).value(tree)
    return dict.fromkeys(periods, found) if isinstance(found, float) else found


class _Math:
    def __init__(self, expression: str, metrics: Mapping[str, Series], periods: Sequence[int]) -> None:
        self._expression, self._metrics, self._periods = expression, metrics, periods

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self._metrics:
                return self._metrics[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _both(operator.sub, 0.0, self.value(operand))
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
                return _both(_ARITHMETIC[type(sign)], self.value(left), self.value(right))
            case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _COMPARISON:
                return _both(_COMPARISON[type(sign)], self.value(left), self.value(right))
            case ast.BoolOp(op=sign, values=parts):
                found = self.value(parts[0])
                join = _all if isinstance(sign, ast.And) else _any
                for part in parts[1:]:
                    found = _both(join, found, self.value(part))
                return found
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name, arguments, node)
        raise self._unknown(node)

    def _call(self, name: str, arguments: Sequence[ast.expr], node: ast.expr) -> Value:
        values = [self.value(one) for one in arguments]
        match name, values:
            case "FILL", [series, float() as filling]:
                return (
                    series
                    if isinstance(series, float)
                    else {**dict.fromkeys(self._periods, filling), **series}
                )
            case "DIFF", [Mapping() as series]:
                known = sorted(series)
                return {late: series[late] - series[early] for early, late in itertools.pairwise(known)}
            case "IF", [condition, so, otherwise]:
                return self._chosen(condition, so, otherwise)
        raise self._unknown(node)

    def _chosen(self, condition: Value, so: Value, otherwise: Value) -> Value:
        if isinstance(condition, float):
            return so if condition else otherwise
        taken = {period: so if value else otherwise for period, value in condition.items()}
        return {
            period: value if isinstance(value, float) else value[period]
            for period, value in taken.items()
            if isinstance(value, float) or period in value
        }

    def _unknown(self, node: ast.expr) -> UnknownMathError:
        return UnknownMathError(
            f"metric math must be of metrics, numbers, + - * / **, comparisons, AND, OR, FILL, DIFF and IF, got "
            f"`{ast.unparse(node)}` in `{self._expression}`"
        )


def _all(one: float, other: float) -> bool:
    return bool(one) and bool(other)


def _any(one: float, other: float) -> bool:
    return bool(one) or bool(other)


def _both(join: Callable[[float, float], float], one: Value, other: Value) -> Value:
    """Return two values joined in the periods that both have; a division by zero has no value, as in CloudWatch."""
    if isinstance(one, float) and isinstance(other, float):
        return float(join(one, other))
    known = [set(value) for value in (one, other) if not isinstance(value, float)]
    found: dict[int, float] = {}
    for period in sorted(set.intersection(*known)):
        left = one if isinstance(one, float) else one[period]
        right = other if isinstance(other, float) else other[period]
        try:
            found[period] = float(join(left, right))
        except ZeroDivisionError:
            continue
    return found
