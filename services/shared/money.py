"""Exact decimals: how money and quantities are read, computed, rounded once, and split.

Amounts are `Decimal` under one context of 60 digits until a charge is made; a charge is an integer of 10⁻⁹ of a
currency unit ("nano"), rounded half-even, once. No float is accepted anywhere.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Annotated, TypeVar, overload

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""The context of every computation with money: products of two 30-digit numbers stay exact."""

NANO = 1_000_000_000
_NANO_SCALE = Decimal(NANO)
_ONE = Decimal(1)

DECIMAL_PATTERN = r"-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,18})?"
_decimal_text = re.compile(DECIMAL_PATTERN, re.ASCII).fullmatch
_plain_text = re.compile(r"(0|[1-9][0-9]{0,29})(\.[0-9]{1,18})?", re.ASCII).fullmatch

K = TypeVar("K")


def exact(value: object) -> Decimal:
    """The decimal that a text writes out.

    Raises:
        ValueError: `value` is a float or other number (it has already lost digits), is not plain decimal notation,
            or has more than 30 digits before or 18 after the point.
    """
    if isinstance(value, Decimal):
        value = f"{value:f}"
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004  # pydantic collects ValueError
            f'found a {type(value).__name__}; money and quantities are written as text, for example "12.50"'
        )
    if _decimal_text(value) is None:
        raise ValueError(
            'not a plain decimal; write for example "12.50": up to 30 digits, up to 18 decimals, no exponent'
        )
    return Decimal(value)


def exact_quantity(value: object) -> Decimal:
    """Like `exact`, and not negative."""
    if type(value) is str and _plain_text(value) is not None:
        return Decimal(value)
    number = exact(value)
    if number.is_signed() and number:
        raise ValueError(
            "a quantity cannot be negative; take a reading back with a higher revision and retracted: true"
        )
    return abs(number)


def as_text(number: Decimal) -> str:
    """Plain notation, never with an exponent."""
    return f"{number:f}"


def shortest(number: Decimal) -> str:
    """Plain notation without noughts at its end: one spelling of a number, however it was reckoned."""
    return as_text(number.normalize(EXACT)) if number else "0"


def _schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": ["12.50"]})


ExactDecimal = Annotated[
    Decimal, PlainValidator(exact), PlainSerializer(as_text, return_type=str), _schema(DECIMAL_PATTERN)
]
"""A decimal that travels as text. A JSON number is refused: it may have lost digits on its way."""

ExactQuantity = Annotated[
    Decimal,
    PlainValidator(exact_quantity),
    PlainSerializer(as_text, return_type=str),
    _schema(DECIMAL_PATTERN.removeprefix("-?")),
]
"""An `ExactDecimal` that is not negative."""


def to_nano(amount: Decimal) -> int:
    """`amount` in integer 10⁻⁹ units, rounded half-even. The one place where money is rounded."""
    return int(EXACT.multiply(amount, _NANO_SCALE).quantize(_ONE, context=EXACT))


def from_nano(nano: int) -> Decimal:
    """The exact decimal of `nano` 10⁻⁹ units."""
    return EXACT.divide(Decimal(nano), _NANO_SCALE)


@overload
def nano_text(nano: int) -> str: ...
@overload
def nano_text(nano: int | None) -> str | None: ...
def nano_text(nano: int | None) -> str | None:
    """An amount of 10⁻⁹ units as a program is told it: plain notation; null where it is not known."""
    return None if nano is None else as_text(from_nano(nano))


def split_nano(total: int, weights: Mapping[K, int]) -> dict[K, int]:
    """Split `total` by non-negative whole weights into parts that add up to it exactly.

    Each part is cut towards zero; what is left over goes to the largest weight, ties to the smallest key.

    Raises:
        ValueError: there is no positive weight to split by.
    """
    whole = sum(weights.values())
    if whole <= 0 or min(weights.values()) < 0:
        raise ValueError("a cost is split by weights of which at least one is positive and none negative")
    sign = -1 if total < 0 else 1
    parts = {key: sign * (abs(total) * weight // whole) for key, weight in weights.items()}
    largest = _first_largest(weights)
    parts[largest] += total - sum(parts.values())
    return parts


def _first_largest(weights: Mapping[K, int]) -> K:
    heaviest = max(weights.values())
    candidates: Sequence[K] = [key for key, weight in weights.items() if weight == heaviest]
    return min(candidates, key=str)
