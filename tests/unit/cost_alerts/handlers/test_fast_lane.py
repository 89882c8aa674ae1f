"""The fast lane of charging: whom it takes, and that it says of them what the general lane says."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.closing import Closings, month_of_day
from services.cost_alerts.domain.pricing import is_possible, most_possible, rounded
from services.cost_alerts.handlers.charging import Revision, charge_plain
from services.cost_alerts.handlers.tally import Tally
from services.cost_alerts.handlers.usage import _count, _day_of_hour
from services.cost_alerts.ports.ledger import ChargeValues, Work
from services.shared.events.envelope import Fact
from services.shared.events.register import System
from services.shared.periods import helsinki_day
from services.shared.store.tables import micros
from tests.unit.cost_alerts.domain.city import NOON, PUBLISHED, book, contract, pool, profile, tariff, usd
from tests.unit.cost_alerts.handlers.test_charging import METERS, OUT, Numbering, charged, revision, timelines

IN = tariff("3")
DOLLARS = [tariff("3", currency="USD"), tariff("15", id="out", meter="output_tokens", currency="USD")]
RATE = usd(date(2026, 10, 13), "1.15")
REPORTED = System(id="claude", vendor="v", name="Claude", owner="city", price_from="reported")
SHARD = 7

Totals = dict[tuple[int, int], list[int]]
Lane = tuple[list[ChargeValues], Totals]


def fast(work: Numbering, *revisions: Revision) -> tuple[Lane, list[int]]:
    tally = Tally(cast("Work", work))
    charges, left = charge_plain(revisions, timelines(work, *revisions), [SHARD] * len(revisions), tally)
    return (charges, dict(tally.totals)), left


def general(work: Numbering, *revisions: Revision) -> Lane:
    tally, charges = Tally(cast("Work", work)), []
    for one, found in zip(revisions, charged(work, *revisions), strict=True):
        charges += found.rows
        _count(tally, SHARD, one.row.day, found)
    return charges, dict(tally.totals)


def of(*quantities: str) -> Revision:
    return revision(dict(zip(METERS, quantities, strict=False)), profile(meters=METERS[: len(quantities)]))


@given(st.lists(st.tuples(*[st.integers(0, 10**13)] * 2), min_size=1, max_size=5), st.booleans())
def test_both_lanes_say_the_same_of_whole_quantities(requests: Sequence[tuple[int, int]], in_dollars: bool) -> None:
    facts: list[Fact] = [*DOLLARS, RATE] if in_dollars else [IN, OUT]
    revisions = [of(*map(str, quantities)) for quantities in requests]
    found, left = fast(Numbering(book(facts)), *revisions)
    taken = [one for place, one in enumerate(revisions) if place not in left]
    assert found == general(Numbering(book(facts)), *taken)


def test_what_it_takes_has_a_row_per_meter_and_counts_as_one_reading() -> None:
    work = Numbering(book([*DOLLARS, RATE]))
    (charges, totals), left = fast(work, of("3", "1"), of("0", "2"))
    at = micros(NOON)
    assert charges == [
        (1, 0, 0, 9_000, 7_826, at, None, 1),
        (1, 0, 1, 15_000, 13_043, at, None, 0),
        (1, 0, 0, 0, 0, at, None, 1),
        (1, 0, 1, 30_000, 26_087, at, None, 0),
    ]
    assert totals == {(SHARD, 0): [7_826, 9_000, 2, 2, 0], (SHARD, 1): [39_130, 45_000, 2, 0, 0]}
    assert left == []


def test_what_a_pool_pays_takes_it_too() -> None:
    work = Numbering(book([contract(terms=[pool()]), OUT]))
    found, left = fast(work, of("5", "1"))
    assert left == []
    assert found == general(work, of("5", "1"))


@pytest.mark.parametrize(
    ("facts", "left_out"),
    [
        pytest.param([IN], of("1.5"), id="a quantity with decimals"),
        pytest.param([IN], of("0.0000001"), id="a quantity that is written with an exponent"),
        pytest.param([], of("1"), id="no tariff"),
        pytest.param([*DOLLARS], of("1"), id="no exchange rate"),
        pytest.param([IN], of("1", "2"), id="a meter without a tariff beside one with"),
        pytest.param([IN], of(str(10**16)), id="an amount too large"),
        pytest.param([tariff(round_up={"to": "1000", "per": "reading"})], of("1"), id="rounded up to packages"),
        pytest.param([IN, REPORTED], of("1"), id="the vendor's own cost counts"),
        pytest.param([IN], revision({}, profile(meters=())), id="nothing metered"),
    ],
)
def test_all_others_are_left_for_the_general_lane(facts: Sequence[Fact], left_out: Revision) -> None:
    assert fast(Numbering(book(facts)), left_out) == (([], {}), [0])


def test_a_reading_that_a_later_version_charges_differently_is_left() -> None:
    work = Numbering(book([IN], [tariff("4")]))
    early = revision({"input_tokens": "1"}, profile(), recorded=PUBLISHED + timedelta(hours=1))
    (charges, _), left = fast(work, early, of("1"))
    assert ([row[3] for row in charges], left) == ([4_000], [0])


def test_a_reading_of_a_closed_month_is_left() -> None:
    work = Numbering(book([IN]))
    work.book.closings = Closings({month_of_day(NOON.toordinal()): micros(NOON) - 1})
    assert fast(work, of("1"))[1] == [0]


def test_those_that_are_left_are_named_by_their_places() -> None:
    (charges, _), left = fast(Numbering(book([IN])), of("1"), of("1.5"), of("2"), of("2.5"))
    assert [row[3] for row in charges] == [3_000, 6_000]
    assert left == [1, 3]


@given(st.fractions(min_value=Fraction(1, 10**12), max_value=10**12))
def test_up_to_the_most_possible_every_amount_is_possible(price: Fraction) -> None:
    ratio = price.as_integer_ratio()
    most = most_possible(ratio)
    assert is_possible((rounded(most, 1, ratio), 0))
    assert not is_possible((rounded(most + 2 + ratio[1] // ratio[0], 1, ratio), 0))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_moment_of_an_hour_lies_in_one_helsinki_day(moment: datetime) -> None:
    assert _day_of_hour(micros(moment) // 3_600_000_000) == helsinki_day(moment).toordinal()
