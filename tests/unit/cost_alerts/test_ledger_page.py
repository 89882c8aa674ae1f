"""What the ledger's page makes of figures: pictures that stay in their frames, bars that can be compared."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.adapters.pools import PoolDay, PoolMonth
from services.cost_alerts.domain.agreements.pool_state import PoolState, UnitUse
from services.cost_alerts.domain.invoices import Reconciliation
from services.cost_alerts.web.ledger import HEIGHT, WIDTH, PoolCard, changes, invoice_card, pool_card
from services.shared.money import NANO
from services.shared.periods import Month

FIRST, SIZE = date(2026, 10, 1), 100


def card(*used: int) -> PoolCard:
    """A pool of a hundred in October, of which so much is used on each day from the first on."""
    sums = [sum(used[: place + 1]) for place in range(len(used))]
    days = [
        PoolDay(FIRST + timedelta(days=place), Decimal(max(0, SIZE - one)), Decimal(max(0, one - SIZE)))
        for place, one in enumerate(sums)
    ]
    dry = next((place for place, one in enumerate(sums) if one >= SIZE), None)
    total = sums[-1] if sums else 0
    state = PoolState(
        first_day=FIRST,
        last_day=date(2026, 10, 31),
        size=Decimal(SIZE),
        used=Decimal(total),
        left=Decimal(max(0, SIZE - total)),
        beyond=Decimal(max(0, total - SIZE)),
        price=Decimal(50),
        price_currency="USD",
        next_unit=Fraction(NANO, 100),
        currency="USD",
        exhausted_at=None if dry is None else datetime(2026, 10, dry + 1, 8, tzinfo=UTC),
        units={"kymp": UnitUse(Decimal(total), 40 * NANO, None, 0)},
    )
    return pool_card(PoolMonth("pool:studio-2026/pack", "studio", "credits", state, days))


def points(found: PoolCard) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in (point.split(",") for point in found.line.split())]


def test_a_pool_s_line_begins_below_and_ends_where_its_days_end() -> None:
    found = points(card(10, 20, 30))
    assert found[0] == (0, HEIGHT)
    assert found[-1][0] == WIDTH * 3 // 31
    assert [high for _, high in found] == sorted((high for _, high in found), reverse=True)


@pytest.mark.parametrize(
    ("used", "dry_x"),
    [
        pytest.param((100,), 3, id="on the first day, at its end"),
        pytest.param((50, 100), 4, id="in the middle of the second day"),
        pytest.param((99,), None, id="not yet"),
        pytest.param((), None, id="never used"),
    ],
)
def test_where_a_pool_ran_dry(used: tuple[int, ...], dry_x: int | None) -> None:
    assert card(*used).dry_x == dry_x


@given(st.lists(st.integers(0, 500), max_size=31))
def test_a_picture_stays_in_its_frame(used: list[int]) -> None:
    found = card(*used)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points(found))
    assert 0 <= found.pack_y < HEIGHT
    over = min(y for _, y in points(found)) < found.pack_y
    assert not over or found.dry_x is not None


def test_what_is_not_known_is_not_nought() -> None:
    [unit] = card(10).units
    assert (unit.allocated, unit.marginal, unit.listed) == (Decimal(40), None, Decimal(0))
    assert card(10).next_unit == Decimal("0.01")


def test_bars_are_measured_by_the_longest() -> None:
    first, second = changes({"a": (100, 200), "b": (-50, 0)})
    assert (first.before_bar, first.after_bar, second.before_bar, second.after_bar) == (50, 100, 25, 0)
    assert second.difference == Decimal(50) / NANO
    assert changes({}) == []


def test_an_invoice_s_parts_have_their_signs() -> None:
    one = Reconciliation("v", Month(2026, 10), (), 10 * NANO, 7 * NANO, fx_nano=-4 * NANO, unexplained_nano=NANO)
    found = invoice_card(one)
    assert found.difference == -3
    assert [(str(piece.amount), piece.bar) for piece in found.pieces] == [("-4", 100), ("0", 0), ("0", 0), ("1", 25)]


def test_an_invoice_without_a_rate_has_no_parts() -> None:
    found = invoice_card(Reconciliation("v", Month(2026, 10), (), 10 * NANO))
    assert (found.invoiced, found.difference, found.pieces) == (None, None, [])
