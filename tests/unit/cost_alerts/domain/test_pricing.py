from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.allocation import NOBODY
from services.cost_alerts.domain.covering import lines
from services.cost_alerts.domain.pricing import MAX_NANO, Line, Pricer, is_possible, rounded, rounded_up
from services.cost_alerts.domain.timeline import timeline
from services.cost_alerts.domain.use import Profile
from services.shared.events import prices
from services.shared.events import register as facts
from services.shared.money import EXACT, to_nano
from tests.unit.cost_alerts.domain.city import NOON, PUBLISHED, book, tariff, usd, use

BATCH = {"service_tier": "batch"}
STANDARD = {"service_tier": "standard"}


def answer(found: list[prices.Tariff], **members: object) -> str:
    """The tariff's id, or the reason why there is none."""
    line = lines(book(found).view(1), use(**members))[0]  # type: ignore[arg-type]
    return line.reason or line.tariff or ""


@pytest.mark.parametrize(
    ("tariffs", "members", "expected"),
    [
        pytest.param([], {}, "no tariff", id="nothing is published"),
        pytest.param([tariff(sku="opus")], {}, "no tariff", id="another model's price is not ours"),
        pytest.param([tariff(system="other")], {}, "no tariff", id="another system's price is not ours"),
        pytest.param([tariff(meter="output_tokens")], {}, "no tariff", id="another meter's price is not ours"),
        pytest.param([tariff(model="per_seat_month")], {}, "no tariff", id="a seat's price prices no tokens"),
        pytest.param([tariff()], {}, "t", id="a price without conditions"),
        pytest.param([tariff(sku="*")], {}, "t", id="a price for every model"),
        pytest.param([tariff(), tariff(id="any", sku="*")], {}, "t", id="the model's own price goes first"),
        pytest.param(
            [tariff(valid_from=date(2027, 1, 1)), tariff(id="any", sku="*")],
            {},
            "any",
            id="a price that does not hold yet hides no other",
        ),
        pytest.param([tariff(valid_to=date(2026, 10, 14))], {}, "no tariff", id="a price that has ended"),
        pytest.param([tariff()], {"dimensions": (("region", "eu"),)}, "t", id="a dimension nobody prices is ignored"),
        pytest.param([tariff(when=BATCH)], {"dimensions": tuple(BATCH.items())}, "t", id="a condition that fits"),
        pytest.param(
            [tariff(when=BATCH)],
            {"dimensions": tuple(STANDARD.items())},
            "no tariff for its service_tier",
            id="a dimension that some tariff prices, with a value that none does",
        ),
        pytest.param([tariff(when=BATCH)], {}, "no tariff for its service_tier", id="a dimension left unsaid"),
        pytest.param(
            [tariff(), tariff(id="batch", when=BATCH)],
            {"dimensions": tuple(BATCH.items())},
            "batch",
            id="the wider condition",
        ),
        pytest.param(
            [tariff(), tariff(id="batch", when=BATCH)],
            {"dimensions": tuple(STANDARD.items())},
            "t",
            id="a price without conditions holds without regard to dimensions",
        ),
        pytest.param([tariff(), tariff(id="twin")], {}, "ambiguous tariffs", id="two that fit alike"),
        pytest.param(
            [tariff(when=BATCH), tariff(id="eu", when={"region": "eu"})],
            {"dimensions": (("region", "eu"), ("service_tier", "batch"))},
            "ambiguous tariffs",
            id="two conditions of which neither includes the other",
        ),
        pytest.param([tariff(currency="USD")], {}, "no exchange rate", id="dollars without a rate"),
        pytest.param([tariff()], {"meters": ()}, "nothing metered", id="a reading without meters"),
    ],
)
def test_which_tariff_holds(tariffs: list[prices.Tariff], members: dict[str, object], expected: str) -> None:
    assert answer(tariffs, **members) == expected


@pytest.mark.parametrize(
    ("zone", "start", "expected"),
    [
        pytest.param(
            "UTC", datetime(2026, 10, 14, 23, 59, 59, tzinfo=UTC), "old", id="the last second of the old price"
        ),
        pytest.param("UTC", datetime(2026, 10, 15, tzinfo=UTC), "new", id="the new price from its first instant"),
        pytest.param(
            "Europe/Helsinki", datetime(2026, 10, 14, 20, 59, tzinfo=UTC), "old", id="before midnight in Helsinki"
        ),
        pytest.param("Europe/Helsinki", datetime(2026, 10, 14, 21, 0, tzinfo=UTC), "new", id="midnight in Helsinki"),
        pytest.param(
            "America/Los_Angeles",
            datetime(2026, 10, 15, 6, 59, tzinfo=UTC),
            "old",
            id="the evening before in California",
        ),
        pytest.param(
            "America/Los_Angeles", datetime(2026, 10, 15, 7, 0, tzinfo=UTC), "new", id="midnight in California"
        ),
    ],
)
def test_a_price_begins_at_midnight_of_its_own_time_zone(zone: str, start: datetime, expected: str) -> None:
    changed = date(2026, 10, 15)
    old, new = tariff(id="old", valid_to=changed, time_zone=zone), tariff(id="new", valid_from=changed, time_zone=zone)
    assert answer([old, new], start=start) == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        pytest.param(date(2026, 10, 12), None, id="before the first publication"),
        pytest.param(date(2026, 10, 13), "1.10", id="the day after the first"),
        pytest.param(date(2026, 10, 14), "1.20", id="the day after the second, which is the second's last"),
        pytest.param(date(2026, 10, 30), "1.20", id="for as long as no other is published"),
    ],
)
def test_the_rate_is_the_last_one_before_the_day(day: date, expected: str | None) -> None:
    view = book([usd(date(2026, 10, 12), "1.10"), usd(date(2026, 10, 13), "1.20")]).view(1)
    found = view.exchange.before("USD", day)
    assert (found and str(found.per_euro)) == expected


def pricer(price: str, per: str, rate: str = "1", round_to: str | None = None) -> Pricer:
    per_unit = Fraction(Decimal(price)) * 10**9 / Fraction(Decimal(per))
    to = None if round_to is None else Decimal(round_to)
    return Pricer(Line("m", "Usage", NOBODY, currency="USD", nano_per_unit=per_unit, rate=Decimal(rate), round_to=to))


@pytest.mark.parametrize(
    ("price", "per", "rate", "quantity", "expected"),
    [
        pytest.param("2.50", "1000000", "1", "374", (935_000, 935_000), id="935 millionths of a thousandth"),
        pytest.param("3", "7", "1", "1", (428_571_429, 428_571_429), id="rounded up"),
        pytest.param("0.000000001", "2", "1", "1", (0, 0), id="a half goes to the even nought"),
        pytest.param("0.000000003", "2", "1", "1", (2, 2), id="a half goes to the even two"),
        pytest.param("1", "1", "1.1", "1", (10**9, 909_090_909), id="euro from the unrounded amount"),
        pytest.param("1", "3", "3", "1", (333_333_333, 111_111_111), id="two roundings of one fraction"),
        pytest.param("1", "1", "1", "-2.5", (-2_500_000_000, -2_500_000_000), id="a credit of the vendor's"),
    ],
)
def test_an_amount_is_rounded_once(price: str, per: str, rate: str, quantity: str, expected: tuple[int, int]) -> None:
    assert pricer(price, per, rate).amounts(Decimal(quantity)) == expected


decimals = st.decimals(min_value=0, max_value=10**9, places=6, allow_nan=False)


@given(quantity=decimals, price=decimals, rate=st.decimals(min_value="0.01", max_value=1000, places=4))
def test_it_agrees_with_decimals_of_sixty_digits(quantity: Decimal, price: Decimal, rate: Decimal) -> None:
    exact = EXACT.divide(EXACT.multiply(quantity, price), Decimal(1_000_000))
    found = pricer(str(price), "1000000", str(rate)).amounts(quantity)
    assert found == (to_nano(exact), to_nano(EXACT.divide(exact, rate)))


@pytest.mark.parametrize(
    ("round_to", "quantity", "expected"),
    [
        pytest.param("1", "0.1", (500_000_000, 250_000_000), id="a begun minute"),
        pytest.param("1", "1", (500_000_000, 250_000_000), id="a whole minute"),
        pytest.param("1", "1.000000000000000001", (1_000_000_000, 500_000_000), id="the least bit over it"),
        pytest.param("0.25", "0.26", (250_000_000, 125_000_000), id="quarters"),
        pytest.param("3", "4", (3_000_000_000, 1_500_000_000), id="packages of three"),
        pytest.param("1", "0", (0, 0), id="nothing used, nothing begun"),
    ],
)
def test_what_is_begun_is_paid_whole(round_to: str, quantity: str, expected: tuple[int, int]) -> None:
    assert pricer("0.5", "1", rate="2", round_to=round_to).amounts(Decimal(quantity)) == expected


@given(quantity=decimals, to=st.decimals(min_value="0.001", max_value=1000, places=3))
def test_rounding_up_is_to_the_next_multiple(quantity: Decimal, to: Decimal) -> None:
    found = rounded_up(quantity, to)
    assert 0 <= found - Fraction(quantity) < Fraction(to)
    assert (found / Fraction(to)).denominator == 1
    assert pricer("7", "9", "1.1172", str(to)).amounts(quantity) == (
        round(found * Fraction(7 * 10**9, 9)),
        round(found * Fraction(7 * 10**9, 9) / Fraction("1.1172")),
    )


@given(
    parts=st.lists(st.decimals(min_value=0, max_value=10**6, places=6, allow_nan=False), min_size=1, max_size=20),
    price=st.integers(1, 10**6),
    per=st.integers(1, 10**6),
)
def test_splitting_linear_use_changes_its_cost_by_at_most_a_nano_a_piece(
    parts: list[Decimal], price: int, per: int
) -> None:
    linear = pricer(str(price), str(per), "1.1172")
    whole, pieces = linear.amounts(sum(parts, Decimal(0))), [linear.amounts(part) for part in parts]
    for side in (0, 1):
        assert abs((whole[side] or 0) - sum(piece[side] or 0 for piece in pieces)) <= len(parts)


@given(above=st.integers(-(10**30), 10**30), below=st.integers(1, 10**18))
def test_rounding_is_to_the_nearest(above: int, below: int) -> None:
    found = rounded(above, below, (1, 1))
    assert abs(Fraction(above, below) - found) <= Fraction(1, 2)
    assert found == round(Fraction(above, below))


def test_a_charge_that_no_sum_could_hold_is_impossible() -> None:
    assert is_possible((MAX_NANO, -MAX_NANO))
    assert not is_possible((MAX_NANO + 1, None))
    assert not is_possible((1, -MAX_NANO - 1))


REPORTED = facts.System(id="claude", vendor="v", name="Claude", owner="ict", price_from="reported")


@pytest.mark.parametrize(
    ("meters", "currency", "expected"),
    [
        pytest.param(("input_tokens",), "EUR", ("input_tokens", None), id="one meter carries the cost"),
        pytest.param(("a", "b"), "EUR", ("*", None), id="several meters share one charge"),
        pytest.param(("a", "b"), None, ("*", "no reported cost"), id="nothing was reported"),
        pytest.param(("a",), "USD", ("a", "no exchange rate"), id="reported in a currency without a rate"),
    ],
)
def test_the_vendors_own_figure(
    meters: tuple[str, ...], currency: str | None, expected: tuple[str, str | None]
) -> None:
    [line] = lines(book([REPORTED, tariff()]).view(1), use(meters=meters, cost_currency=currency))
    assert (line.meter, line.reason) == expected
    assert line.of_reading


def test_a_timeline_has_a_stretch_for_each_version_that_changes_the_result() -> None:
    same_price = tariff("3.00", source="checked again")
    found = timeline(
        book([tariff("3.00")], [same_price], [same_price, tariff(id="x", system="y")], [tariff("4.00")]), use(), 1
    )
    assert [stretch.version for stretch in found] == [1, 4]
    assert found[1].since == PUBLISHED + timedelta(hours=4)


def test_a_timeline_begins_at_the_version_asked_for() -> None:
    versions = book([], [tariff("3.00")], [tariff("4.00")])
    assert [stretch.version for stretch in timeline(versions, use(), 0)] == [0, 2, 3]
    assert [stretch.version for stretch in timeline(versions, use(), 2)] == [2, 3]


names = st.text(st.characters(codec="utf-8"), max_size=5)
pairs = st.dictionaries(names, names, max_size=2).map(lambda found: tuple(sorted(found.items())))


@given(
    st.builds(
        Profile,
        names,
        names,
        st.lists(names, max_size=3).map(tuple),
        pairs,
        st.none() | names,
        st.none() | names,
        pairs,
        names,
    )
)
def test_a_profile_survives_being_written(profile: Profile) -> None:
    assert Profile.from_text(profile.as_text()) == profile


def test_the_vocabulary_of_a_moment() -> None:
    assert use().day == NOON.date()
