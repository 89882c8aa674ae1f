"""Arithmetic that explains itself: each step has an operation, a number and a sentence, and gives an exact value.

Whoever reads the steps can reckon again without this program: start from nothing, do each step in its order with exact
fractions, and the results are the charge's amounts. Money is in whole currency units, rounded to 10⁻⁹ where it says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from services.shared.money import NANO, as_text, split_nano

Do = Literal["take", "times", "over", "plus", "less", "from", "up_to", "nearest", "day_of", "round", "split"]
"""What a step does to the value v, with its number n.

take: v = n. times, over, plus, less: v × n, v ÷ n, v + n, v - n. from: n - v. up_to: v rounded up to a whole multiple
of n. nearest: v rounded half-even to 10⁻⁹. day_of: the part of day number `at` (from 0) of n days,
nearest(v × (at + 1) ÷ n) - nearest(v × at ÷ n). round: nearest(v) is the result named `of`; v goes on unrounded. split:
every result becomes the part of `mine` among `weights`: cut towards zero to 10⁻⁹, and what is left over goes to `rest`.
"""

Of = Literal["", "amount", "eur"]
"""Results: in the pricing currency, and in euro."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `says` is a sentence for people. See `Do`."""

    do: Do
    says: str
    by: Fraction = Fraction(0)
    of: Of = ""
    at: int = 0
    weights: Sequence[int] = ()
    mine: int = 0
    rest: int = 0


Piece = Sequence[Step]
"""Steps that lead to an amount; a charge is the sum of its pieces, usually of one."""


@dataclass(slots=True)
class Reckoning:
    """A piece under way: the value, exact, and what was rounded of it so far."""

    value: Fraction = Fraction(0)
    results: dict[str, Fraction] = field(default_factory=dict)

    def do(self, step: Step) -> Fraction:
        """Take a step; what it gives."""
        match step.do:
            case "round":
                self.results[step.of] = nearest(self.value)
                return self.results[step.of]
            case "split":
                self.results = {name: _part(step, result) for name, result in self.results.items()}
                return self.results.get("eur", self.results.get("amount", Fraction(0)))
            case _:
                self.value = _done(step, self.value)
                return self.value


def _done(step: Step, value: Fraction) -> Fraction:  # noqa: PLR0911  # one line per operation
    by = step.by
    match step.do:
        case "times":
            return value * by
        case "over":
            return value / by
        case "plus":
            return value + by
        case "less":
            return value - by
        case "from":
            return by - value
        case "up_to":
            return -(-value // by) * by
        case "nearest":
            return nearest(value)
        case "day_of":
            return nearest(value * (step.at + 1) / by) - nearest(value * step.at / by)
        case _:
            return by


def nearest(value: Fraction) -> Fraction:
    """The nearest multiple of 10⁻⁹, half-even."""
    return Fraction(round(value * NANO), NANO)


def _part(step: Step, whole: Fraction) -> Fraction:
    nano = round(whole * NANO)
    # `split_nano` gives what is left over to the heaviest, ties to the smallest key: `rest` is made so by its name.
    names = [f"{int(place != step.rest)} {place}" for place in range(len(step.weights))]
    parts = split_nano(nano, dict(zip(names, step.weights, strict=True)))
    return Fraction(parts[names[step.mine]], NANO)


def results_of(pieces: Iterable[Piece]) -> Mapping[str, Fraction]:
    """What the pieces add up to, by the names of their results."""
    totals: dict[str, Fraction] = {}
    for piece in pieces:
        reckoning = Reckoning()
        for step in piece:
            reckoning.do(step)
        for name, result in reckoning.results.items():
            totals[name] = totals.get(name, Fraction(0)) + result
    return totals


def piece_document(piece: Piece) -> list[dict[str, Any]]:
    """The steps of a piece as JSON; numbers are decimals or fractions as text, exactly."""
    reckoning = Reckoning()
    return [_document(step, reckoning.do(step)) for step in piece]


def _document(step: Step, gives: Fraction) -> dict[str, Any]:
    found: dict[str, Any] = {"do": step.do}
    if step.do == "split":
        found |= {"weights": [str(one) for one in step.weights], "mine": step.mine, "rest": step.rest}
    elif step.do == "round":
        found["of"] = step.of
    elif step.do != "nearest":
        found["by"] = exact_text(step.by)
    if step.do == "day_of":
        found["at"] = step.at
    return found | {"gives": exact_text(gives), "says": step.says}


def exact_text(number: Fraction) -> str:
    """A plain decimal where the number has one, else numerator/denominator; Python's `Fraction` reads both."""
    digits, rest = 0, number.denominator
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        digits = max(digits, count)
    if rest != 1:
        return f"{number.numerator}/{number.denominator}"
    whole = abs(number.numerator) * 10**digits // number.denominator
    text = str(whole).rjust(digits + 1, "0")
    point = len(text) - digits
    return f"{'-' if number < 0 else ''}{text[:point]}{'.' if digits else ''}{text[point:]}"


def shown(number: Fraction | Decimal) -> str:
    """A number for people: thousands parted by commas, a fraction that no decimal tells shortened behind ≈."""
    if isinstance(number, Decimal):
        number = Fraction(number)
    text = exact_text(number)
    sign = ""
    if "/" in text or len(text) > _MOST_SHOWN:
        sign, text = "≈ ", as_text(round(Decimal(number.numerator) / Decimal(number.denominator), _PLACES_SHOWN))
    whole, _, decimals = text.partition(".")
    return f"{sign}{int(whole):,}{'.' if decimals else ''}{decimals}" if whole != "-0" else f"{sign}{text}"


_MOST_SHOWN = 30
_PLACES_SHOWN = 12


def per_cent(part: Fraction | Decimal) -> str:
    return f"{shown(Fraction(part) * 100)} %"


def in_currency(currency: str | None, rate: Decimal | None, rate_day: object) -> list[Step]:
    """The two roundings at the end of most amounts: in the pricing currency, and from the same value in euro."""
    steps = [Step("round", f"rounded once, half-even, to 10⁻⁹ {currency}", of="amount")]
    if rate is None:
        return steps
    if rate_day is not None:
        said = f"at {shown(rate)} {currency} per EUR, last published before the day: on {rate_day}"
        steps.append(Step("over", said, Fraction(rate)))
        return [*steps, Step("round", "from the unrounded value, rounded once to 10⁻⁹ EUR", of="eur")]
    return [*steps, Step("round", "in euro already", of="eur")]


def nothing(says: str) -> list[Step]:
    """What costs nothing, in any currency and at any rate."""
    rounded = "nothing, in any currency"
    return [Step("take", says), Step("round", rounded, of="amount"), Step("round", rounded, of="eur")]
