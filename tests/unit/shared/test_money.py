"""Exact decimals, the one rounding, and splits that add up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.shared.money import (
    NANO,
    ExactDecimal,
    ExactQuantity,
    exact,
    exact_quantity,
    from_nano,
    split_nano,
    to_nano,
)

DECIMALS = st.decimals(min_value=-(10**12), max_value=10**12, places=9, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("0", Decimal(0), id="nothing"),
        pytest.param("12.50", Decimal("12.50"), id="keeps the zeros it was written with"),
        pytest.param("-1.2345", Decimal("-1.2345"), id="a credit is negative"),
        pytest.param("9" * 30 + "." + "9" * 18, Decimal("9" * 30 + "." + "9" * 18), id="the widest that is taken"),
    ],
)
def test_a_plain_decimal_is_read_exactly(text: str, value: Decimal) -> None:
    assert exact(text) == value
    assert f"{exact(text):f}" == text


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(1.5, id="a float"),
        pytest.param(1, id="a JSON number"),
        pytest.param(True, id="a truth value"),
        pytest.param("NaN", id="not a number"),
        pytest.param("Infinity", id="infinity"),
        pytest.param("1e3", id="an exponent"),
        pytest.param("+1", id="a plus sign"),
        pytest.param("01", id="a leading zero"),
        pytest.param("1.", id="a point without decimals"),
        pytest.param("1,50", id="a decimal comma"),
        pytest.param(" 1", id="a space"),
        pytest.param("\u0661", id="an Arabic digit"),
        pytest.param("1_000", id="an underscore"),
        pytest.param("9" * 31, id="31 digits"),
        pytest.param("0." + "1" * 19, id="19 decimals"),
    ],
)
def test_what_has_lost_digits_or_is_not_plain_is_refused(found: object) -> None:
    with pytest.raises(ValueError, match=r"12\.50"):
        exact(found)


def test_a_float_in_json_never_becomes_money() -> None:
    with pytest.raises(ValidationError, match="written as text"):
        TypeAdapter(ExactDecimal).validate_json("1.5")


def test_a_quantity_is_not_negative() -> None:
    with pytest.raises(ValueError, match="retracted"):
        exact_quantity("-1")
    assert str(TypeAdapter(ExactQuantity).validate_json('"-0"')) == "0"


@pytest.mark.parametrize(
    ("amount", "nano"),
    [
        pytest.param("0.0000000005", 0, id="half goes to the even neighbour below"),
        pytest.param("0.0000000015", 2, id="half goes to the even neighbour above"),
        pytest.param("-0.0000000015", -2, id="and so below zero"),
        pytest.param("96.791325", 96_791_325_000, id="an exact amount stays exact"),
    ],
)
def test_money_is_rounded_half_even_to_nano(amount: str, nano: int) -> None:
    assert to_nano(Decimal(amount)) == nano


@given(DECIMALS)
def test_nano_and_back_is_the_identity(amount: Decimal) -> None:
    assert from_nano(to_nano(amount)) == amount


@given(st.integers(-(10**20), 10**20), st.dictionaries(st.text(max_size=4), st.integers(0, 10**9), min_size=1))
def test_the_parts_of_a_split_add_up(total: int, weights: dict[str, int]) -> None:
    if not any(weights.values()):
        with pytest.raises(ValueError, match="at least one is positive"):
            split_nano(total, weights)
        return
    parts = split_nano(total, weights)
    assert sum(parts.values()) == total
    assert all(parts[key] == 0 for key, weight in weights.items() if not weight)


def test_what_a_split_leaves_over_goes_to_the_largest_then_to_the_first_by_name() -> None:
    assert split_nano(10, {"b": 1, "a": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert split_nano(-10, {"b": 2, "a": 1}) == {"a": -3, "b": -7}
    assert split_nano(NANO, {"a": 1}) == {"a": NANO}
