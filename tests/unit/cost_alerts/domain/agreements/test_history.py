from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cost_alerts.domain.agreements.agreement import Part
from services.cost_alerts.domain.agreements.history import changes, evenings, history
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.pricing import Line

UNHURRIED = settings(deadline=None)  # how busy the machine is says nothing about the code

EVENING = datetime(2026, 10, 14, 20, 59, tzinfo=UTC)  # 23:59 in Helsinki


def part(unit: str, nano: int = 1, rule: str | None = None) -> Part:
    return Part(date(2026, 10, 1), "s", Line("m", "Usage", Owner(unit, rule)), Decimal(1), (nano, nano))


@pytest.mark.parametrize(
    ("minutes", "cut_offs", "kept"),
    [
        pytest.param([0, -5, -9], [], [0], id="the last of a day"),
        pytest.param([0, 1], [], [0, 1], id="midnight is Helsinki's"),
        pytest.param([0, -5, -9], [-5], [-5, 0], id="a cut-off, inclusive, ends a day early"),
        pytest.param([0, -5, -9], [-6], [-9, 0], id="what comes after a cut-off is another stretch"),
        pytest.param([], [0], [], id="nothing was recorded"),
    ],
)
def test_the_last_moment_of_each_stretch_counts(minutes: list[int], cut_offs: list[int], kept: list[int]) -> None:
    def at(minute: int) -> datetime:
        return EVENING + timedelta(minutes=minute)

    assert evenings(map(at, minutes), [at(one) for one in cut_offs]) == [at(one) for one in kept]


def test_parts_of_equal_effect_are_left_alone() -> None:
    before, after = [part("a"), part("b"), part("b")], [part("b", rule="another"), part("a", 2)]
    assert changes(before, after) == ([part("a"), part("b")], [part("a", 2)])


parts = st.lists(st.builds(part, st.sampled_from("abc"), st.integers(0, 2)), max_size=4)


@UNHURRIED
@given(st.lists(parts, max_size=5))
def test_at_every_moment_exactly_what_was_known_stands(known: list[list[Part]]) -> None:
    moments = [EVENING + timedelta(days=number) for number in range(len(known))]
    rows = history(moments, lambda moment: known[moments.index(moment)])
    for moment, told in zip(moments, known, strict=True):
        standing = [
            row.part
            for row in rows
            if row.recorded_at <= moment and (row.superseded_at is None or moment < row.superseded_at)
        ]
        assert _effects(standing) == _effects(told)
    assert all(row.superseded_at is None or row.recorded_at < row.superseded_at for row in rows)


def _effects(found: Sequence[Part]) -> list[str]:
    return sorted(repr(one.effect) for one in found)


def test_what_does_not_change_is_one_row() -> None:
    moments = [EVENING + timedelta(days=number) for number in range(9)]
    [row] = history(moments, lambda _: [part("a")])
    assert (row.recorded_at, row.superseded_at) == (EVENING, None)
