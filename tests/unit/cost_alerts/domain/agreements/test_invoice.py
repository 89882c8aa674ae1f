"""Truing up: a month with estimates becomes what was invoiced, once, to the last 10⁻⁹."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part, Spent
from services.cost_alerts.domain.agreements.invoice import invoice_agreement
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.view import View
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.events.usage import Invoice
from services.shared.money import NANO
from tests.unit.cost_alerts.domain.city import book, contract, usd
from tests.unit.cost_alerts.domain.test_invoices import invoice

DECEMBER_1 = date(2026, 12, 1)
LAST_DAY = date(2026, 11, 30)
CITY = (
    facts.System(id="claude", vendor="v", name="Claude", owner="ict"),
    facts.AllocationRule(
        id="all", order=1, match=facts.Match(system="claude"), unit="ict", valid_from=date(2026, 1, 1)
    ),
    usd(date(2026, 11, 30), "1.25"),
)
A, B = Owner("a", "placement", "100"), Owner("b", "rule-b")


def view(*more: Fact) -> View:
    return book([*CITY, *more]).view(1)


def spent(owner: Owner, amount: str, *, estimated: bool = True, system: str = "claude") -> Spent:
    return Spent(date(2026, 11, 5), owner, system, round(Decimal(amount) * NANO), estimated)


def parts(
    invoices: Sequence[Invoice],
    charged: Sequence[Spent],
    *more: Fact,
    today: date = DECEMBER_1,
) -> Sequence[Part]:
    seen = view(*more)
    agreement = invoice_agreement(seen, "claude")
    assert agreement is not None
    [cycle] = agreement.cycles(LAST_DAY, LAST_DAY)
    return agreement.parts(seen, cycle, Known(today, invoices=invoices, spent=charged))


def paid(found: Sequence[Part]) -> dict[str, str]:
    """Unit → euro."""
    assert all(part.amounts[0] == part.amounts[1] and part.day == LAST_DAY for part in found)
    return {part.line.owner.unit: f"{Decimal(part.amounts[1] or 0) / NANO:f}" for part in found}


@pytest.mark.parametrize(
    ("invoices", "charged", "expected"),
    [
        pytest.param([invoice("12")], [spent(A, "10")], {"a": "2"}, id="more than was estimated"),
        pytest.param([invoice("9")], [spent(A, "10")], {"a": "-1"}, id="less than was estimated"),
        pytest.param([invoice("10")], [spent(A, "10")], {}, id="as was estimated"),
        pytest.param([], [spent(A, "10")], {}, id="no invoice yet"),
        pytest.param([invoice("12")], [spent(A, "10", estimated=False)], {}, id="nothing was estimated"),
        pytest.param(
            [invoice("16")],
            [spent(A, "9"), spent(B, "3", estimated=False)],
            {"a": "3", "b": "1"},
            id="who pays shares it by what it pays, estimated or not",
        ),
        pytest.param(
            [invoice("10")],
            [spent(A, "8"), spent(B, "-1")],
            {"a": "3"},
            id="who is owed something shares nothing",
        ),
        pytest.param([invoice("1")], [spent(A, "0")], {"ict": "1"}, id="where nobody pays, the rules decide"),
        pytest.param(
            [invoice("12"), invoice("-1", invoice_id="B")], [spent(A, "10")], {"a": "1"}, id="a credit note adds up"
        ),
        pytest.param(
            [invoice("10", currency="USD", per_euro="1.6")],
            [spent(A, "8")],
            {"a": "-1.75"},
            id="the invoice's rate replaces ours",
        ),
        pytest.param([invoice("10", currency="USD")], [spent(A, "7")], {"a": "1"}, id="our rate where it has none"),
        pytest.param(
            [invoice("12")],
            [spent(A, "10"), spent(B, "5", system="other")],
            {"a": "2"},
            id="another system has its own lines",
        ),
    ],
)
def test_a_month_becomes_its_invoices(
    invoices: Sequence[Invoice], charged: Sequence[Spent], expected: dict[str, str]
) -> None:
    assert paid(parts(invoices, charged)) == expected


@pytest.mark.parametrize(("today", "expected"), [(LAST_DAY, {}), (DECEMBER_1, {"a": "2"})])
def test_a_month_is_brought_to_its_invoice_when_it_is_over(today: date, expected: dict[str, str]) -> None:
    assert paid(parts([invoice("12")], [spent(A, "10")], today=today)) == expected


def test_an_invoice_that_names_other_systems_only_says_nothing_of_this_one() -> None:
    elsewhere = invoice("12")
    lines = [{**line.model_dump(), "system": "other"} for line in elsewhere.lines]
    assert parts([Invoice.model_validate({**elsewhere.model_dump(), "lines": lines})], [spent(A, "10")]) == ()


def test_what_an_adjustment_says_of_itself() -> None:
    later = invoice("-1", invoice_id="B", revision=2, issued_on=date(2026, 12, 9))
    [part] = parts([invoice("12"), later], [spent(A, "10")], contract(vat_rate="0.255"))
    line = part.line
    assert (line.category, line.meter, line.currency, line.vat_rate) == (
        "Adjustment",
        "invoice",
        "EUR",
        Decimal("0.255"),
    )
    assert (line.tariff, line.tariff_version, line.owner) == ("B", 2, Owner("a", "invoice", "100"))
    assert (part.quantity, part.estimated) == (Decimal(0), False)


def test_the_vat_of_the_lines_goes_before_the_contracts() -> None:
    told = invoice("12")
    lines = [{**line.model_dump(), "vat_rate": "0.14"} for line in told.lines]
    [part] = parts(
        [Invoice.model_validate({**told.model_dump(), "lines": lines})], [spent(A, "10")], contract(vat_rate="0.255")
    )
    assert part.line.vat_rate == Decimal("0.14")


@pytest.mark.parametrize(
    ("one", "reason"), [(invoice("10", currency="SEK"), "no exchange rate"), (invoice("3000000"), "amount too large")]
)
def test_what_cannot_be_brought_to_its_invoice_says_why(one: Invoice, reason: str) -> None:
    [part] = parts([one], [spent(A, "10"), spent(B, "1")])
    assert (part.line.reason, part.amounts, part.line.owner.unit) == (reason, (None, None), "a")


def test_cycles_are_helsinki_months_of_a_system_that_the_register_knows() -> None:
    agreement = invoice_agreement(view(), "claude")
    assert agreement is not None
    assert agreement.key == "invoice:v/claude"
    starts, middle, ends = (
        datetime(2026, 9, 30, 21, tzinfo=UTC),
        *(datetime(2026, m, d, 22, tzinfo=UTC) for m, d in ((10, 31), (11, 30))),
    )
    assert list(agreement.cycles(date(2026, 10, 31), date(2026, 11, 1))) == [
        Cycle(agreement.key, "claude", starts, middle),
        Cycle(agreement.key, "claude", middle, ends),
    ]
    assert invoice_agreement(view(), "unheard-of") is None


amounts = st.integers(min_value=-(10**12), max_value=10**12)
owners = st.sampled_from([A, B, Owner("a", "other-rule", "100"), Owner("c", None, "", "p")])


@given(
    st.lists(st.tuples(owners, amounts, st.booleans()), min_size=1, max_size=6),
    st.lists(st.decimals(min_value=-900, max_value=900, places=9, allow_nan=False), min_size=1, max_size=3),
)
def test_the_month_is_exactly_what_was_invoiced(charged: list[tuple[Owner, int, bool]], nets: list[Decimal]) -> None:
    of_month = [Spent(date(2026, 11, 5), owner, "claude", nano, estimated) for owner, nano, estimated in charged]
    invoices = [invoice(f"{net:f}", invoice_id=str(number)) for number, net in enumerate(nets)]
    found = parts(invoices, of_month)
    total = sum(one.eur_nano for one in of_month) + sum(part.amounts[1] or 0 for part in found)
    if any(one.estimated for one in of_month):
        assert total == sum((net * NANO for net in nets), Decimal(0))
    else:
        assert not found
    assert len({(part.line.owner.unit, part.line.owner.cost_centre, part.line.owner.project) for part in found}) == len(
        found
    )
