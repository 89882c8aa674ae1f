"""Readings become charges by prices that are made ready once for many of them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import cast

import pytest

from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book
from services.cost_alerts.handlers.charging import Charged, Charger, Revision, Timeline, charge
from services.cost_alerts.ports.ledger import Basis, ReadingRow, Work
from services.shared.events.envelope import Fact
from services.shared.events.register import AllocationRule, Match, Unit
from services.shared.store.tables import micros
from tests.unit.cost_alerts.domain.city import NOON, PUBLISHED, book, contract, pool, profile, tariff, usd

METERS = ("input_tokens", "output_tokens")
CLIFF = tariff(None, model="by_request_size", tiers=[{"up_to": "100", "price": "1"}, {"price": "5"}])
OUT = tariff("10", id="out", meter="output_tokens")


class Numbering:
    """What the charger needs of the ledger's work: a register, and numbers of bases."""

    generation = 0

    def __init__(self, register: Book) -> None:
        self.book = register
        self.bases: list[Basis] = []

    def basis(self, basis: Basis) -> int:
        if basis not in self.bases:
            self.bases.append(basis)
        return self.bases.index(basis)

    def enter_bases(self, bases: Sequence[Basis]) -> None:
        for basis in bases:
            self.basis(basis)

    def basis_of(self, number: int) -> Basis:
        return self.bases[number]


def revision(consumed: dict[str, str], who: Profile, start: datetime = NOON, recorded: datetime = NOON) -> Revision:
    quantities = [Decimal(consumed[meter]) for meter in who.meters]
    row = ReadingRow(
        number=1,
        source=1,
        reading_id="r",
        revision=0,
        recorded_at=micros(recorded),
        starts_at=micros(start),
        ends_at=micros(start) + 1,
        day=date(start.year, start.month, start.day).toordinal(),
        profile=1,
        quantities=" ".join(map(str, quantities)),
        cost=None,
        cost_currency=None,
        finality=2,
        purpose=0,
        retracted=0,
        pricing=0,
        register_version=0,
    )
    return Revision(row, who, start, quantities)


def timelines(work: Numbering, *revisions: Revision) -> list[Timeline]:
    charger = Charger()
    charger.begin(cast("Work", work))
    return charger.timelines(cast("Work", work), revisions)


def charged(work: Numbering, *revisions: Revision) -> list[Charged]:
    return [
        charge(cast("Work", work), one.row, found.stretches, one.quantities, one.row.recorded_at)
        for one, found in zip(revisions, timelines(work, *revisions), strict=True)
    ]


def money(found: Charged) -> list[tuple[int | None, int | None]]:
    return [(nano, eur_nano) for _, nano, eur_nano, _ in found.current]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param(("100", "101"), ([(100_000, 100_000)], [(505_000, 505_000)]), id="the edge, and one above"),
        pytest.param(("101", "100"), ([(505_000, 505_000)], [(100_000, 100_000)]), id="the other way round"),
        pytest.param(("1", "99"), ([(1_000, 1_000)], [(99_000, 99_000)]), id="two of one tier"),
    ],
)
def test_readings_of_one_profile_have_the_prices_of_their_own_sizes(
    sizes: tuple[str, str], expected: tuple[object, object]
) -> None:
    work = Numbering(book([CLIFF]))
    one, other = charged(work, *(revision({"input_tokens": size}, profile()) for size in sizes))
    assert (money(one), money(other)) == expected


def test_a_reading_of_several_requests_is_unpriced_by_size_and_priced_otherwise() -> None:
    who = profile(meters=("input_tokens", "output_tokens", "requests"))
    free = tariff("0", id="calls", meter="requests", per="1")
    work = Numbering(book([CLIFF, OUT, free]))
    several, single = charged(
        work,
        revision({"input_tokens": "50", "output_tokens": "2", "requests": "3"}, who),
        revision({"input_tokens": "50", "output_tokens": "2", "requests": "1"}, who),
    )
    assert money(several) == [(None, None), (20_000, 20_000), (0, 0)]
    assert money(single) == [(50_000, 50_000), (20_000, 20_000), (0, 0)]
    assert work.basis_of(several.current[0][0]).reason == (
        "several requests in one reading, and the price depends on the size of each"
    )


def test_uses_of_one_kind_share_their_bases() -> None:
    work = Numbering(book([CLIFF]))
    charged(work, *(revision({"input_tokens": str(size)}, profile()) for size in range(1, 100)))
    assert len(work.bases) == 1


def test_what_a_pool_charges_is_nought_counts_as_priced_and_names_the_pool() -> None:
    work = Numbering(book([contract(terms=[pool()], vat_rate="0.255"), OUT]))
    [found] = charged(work, revision({"input_tokens": "5", "output_tokens": "1"}, profile(meters=METERS)))
    assert found.current == [(0, 0, 0, 1), (1, 10_000, 10_000, 0)]
    pooled, own = work.bases
    assert (pooled.agreement, pooled.currency, pooled.reason) == ("pool:c/p", "EUR", None)
    assert (own.agreement, own.list_per_unit) == (None, "10000")


def test_a_basis_says_everything_that_its_charges_have_in_common() -> None:
    facts: list[Fact] = [
        tariff("2", per="1", id="card", currency=None, credit="flex"),
        tariff("0.01", per="1", id="credit", sku="flex", meter="credits", currency="USD"),
        usd(date(2026, 10, 13), "1.25"),
        contract(vat_rate="0.255", discounts=[{"off": "0.5"}]),
        Unit(id="kymp", name={"en": "K"}, cost_centre="301", valid_from=date(2026, 1, 1)),
        AllocationRule(id="r", order=1, match=Match(), unit="kymp", project="P-7", valid_from=date(2026, 1, 1)),
    ]
    work = Numbering(book(facts))
    [found] = charged(work, revision({"input_tokens": "3"}, profile()))
    assert money(found) == [(30_000_000, 24_000_000)]
    assert work.bases == [
        Basis(
            day=NOON.toordinal(),
            unit="kymp",
            system="claude",
            sku="sonnet",
            meter="input_tokens",
            category="Usage",
            estimated=0,
            currency="USD",
            register_version=1,
            rule="r",
            tariff="card",
            tariff_version=1,
            nano_per_unit="10000000",
            rate="1.25",
            rate_day=date(2026, 10, 13).toordinal(),
            reason=None,
            cost_centre="301",
            project="P-7",
            vat_rate="0.255",
            list_per_unit="20000000",
            credit_tariff="credit",
            credit_tariff_version=1,
            agreement=None,
        )
    ]


def test_a_late_pool_supersedes_the_charges_of_the_version_before_it() -> None:
    work = Numbering(book([tariff()], [tariff(), contract(terms=[pool()])]))
    recorded = PUBLISHED + timedelta(hours=1)
    [found] = charged(work, revision({"input_tokens": "5"}, profile(), recorded=recorded))
    assert [(version, nano, until is None) for _, version, _, nano, _, _, until, _ in found.rows] == [
        (0, 15_000, False),
        (1, 0, True),
    ]
    assert [basis.agreement for basis in work.bases] == [None, "pool:c/p"]
