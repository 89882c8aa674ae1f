"""Invoice and ledger side by side: what explains the difference, and that the parts add up to it."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.exchange import Exchange
from services.cost_alerts.domain.invoices import (
    Charges,
    LedgerMonth,
    Reconciliation,
    Unpriced,
    of_month,
    reconcile,
    standing,
)
from services.shared.events.register import FxRates
from services.shared.events.usage import Invoice, InvoiceLine
from services.shared.money import NANO
from services.shared.periods import Month

NOVEMBER = Month(2026, 11)
OUR_RATES = Exchange([FxRates(day=date(2026, 11, 30), rates={"USD": Decimal("1.25")}, source="a test")])


def invoice(*nets: str, **members: Any) -> Invoice:  # noqa: ANN401
    """An invoice whose lines are on the SKUs s0, s1, … of one system."""
    skus = members.pop("skus", [f"s{number}" for number in range(len(nets))])
    lines = [InvoiceLine(system="claude", sku=sku, net=Decimal(net)) for sku, net in zip(skus, nets, strict=True)]
    given = {
        "vendor": "v",
        "invoice_id": "A",
        "month": "2026-11",
        "issued_on": date(2026, 12, 1),
        "currency": "EUR",
        "net": sum((Decimal(net) for net in nets), Decimal(0)),
        "lines": lines,
    }
    return Invoice.model_validate({**given, **members})


def euro(amount: str, sku: str = "s0", at_list: str | None = None) -> Charges:
    nano = round(Fraction(amount) * NANO)
    return Charges("claude", sku, "EUR", nano, nano if at_list is None else round(Fraction(at_list) * NANO), nano)


def usd(amount: str, in_euro: str, sku: str = "s0") -> Charges:
    nano = round(Fraction(amount) * NANO)
    return Charges("claude", sku, "USD", nano, nano, round(Fraction(in_euro) * NANO))


def parts(found: Reconciliation) -> tuple[str, ...]:
    """Exchange rates, timing, discount, rest; in euro."""
    told = found.document()["explained"]
    return tuple(told[f"{name}_eur"] for name in ("fx", "timing", "discount", "unexplained"))


@pytest.mark.parametrize(
    ("invoices", "ledger", "expected"),
    [
        pytest.param([invoice("10")], LedgerMonth([euro("10")]), ("0", "0", "0", "0"), id="the same"),
        pytest.param([invoice("11.5")], LedgerMonth([euro("10")]), ("0", "0", "0", "1.5"), id="nobody knows why"),
        pytest.param(
            [invoice("10", currency="USD", per_euro="1.10")],
            LedgerMonth([usd("10", "8")]),
            ("1.090909091", "0", "0", "0"),
            id="the same dollars at another rate",
        ),
        pytest.param(
            [invoice("10", currency="USD")],
            LedgerMonth([usd("10", "8.1")]),
            ("-0.1", "0", "0", "0"),
            id="an invoice without a rate has ours of the day before it was issued",
        ),
        pytest.param(
            [invoice("12", currency="USD", per_euro="1.25")],
            LedgerMonth([usd("10", "8.1")]),
            ("-0.1", "0", "0", "1.6"),
            id="two dollars more are no matter of rates",
        ),
        pytest.param(
            [invoice("10", currency="USD", per_euro="1.00")],
            LedgerMonth([usd("5", "4"), euro("4", "s1")]),
            ("1", "0", "0", "1"),
            id="what the ledger has in euro has no rate to differ by",
        ),
        pytest.param(
            [invoice("12"), invoice("-2", invoice_id="B")],
            LedgerMonth([euro("10")]),
            ("0", "0", "0", "0"),
            id="a credit note adds up with its invoice",
        ),
        pytest.param(
            [invoice("9"), invoice("1.25", invoice_id="B", currency="USD", per_euro="1.25")],
            LedgerMonth([euro("10")]),
            ("0", "0", "0", "0"),
            id="two invoices in two currencies",
        ),
        pytest.param(
            [invoice("13")],
            LedgerMonth([euro("10")], edges=[euro("4"), euro("-1")]),
            ("0", "3", "0", "0"),
            id="the vendor's month begins and ends at midnight of its own",
        ),
        pytest.param(
            [invoice("10")],
            LedgerMonth([euro("10")], edges=[euro("4"), euro("-1")]),
            ("0", "0", "0", "0"),
            id="a vendor that counts Helsinki months has no edges",
        ),
        pytest.param(
            [invoice("7")],
            LedgerMonth([euro("10")], late=[euro("-3")]),
            ("0", "-3", "0", "0"),
            id="use that came after the invoice",
        ),
        pytest.param(
            [invoice("10")],
            LedgerMonth([euro("10")], late=[euro("-10")]),
            ("0", "0", "0", "0"),
            id="history that was read late was invoiced all the same",
        ),
        pytest.param(
            [invoice("8")],
            LedgerMonth([euro("10")], edges=[euro("1")], late=[euro("-3")]),
            ("0", "-2", "0", "0"),
            id="both shifts at once",
        ),
        pytest.param(
            [invoice("10")],
            LedgerMonth([euro("9", at_list="10")]),
            ("0", "0", "1", "0"),
            id="the vendor forgot our discount",
        ),
        pytest.param(
            [invoice("90", "45")],
            LedgerMonth([euro("100"), euro("50", "s1")]),
            ("0", "0", "-15", "0"),
            id="a discount that our register does not know",
        ),
        pytest.param(
            [invoice("87.31", "43.65")],
            LedgerMonth([euro("100"), euro("50", "s1")]),
            ("0", "0", "-19.05", "0.01"),
            id="cents that the vendor rounded are a rest",
        ),
        pytest.param(
            [invoice("90", "50")],
            LedgerMonth([euro("100"), euro("50", "s1")]),
            ("0", "0", "0", "-10"),
            id="one SKU cheaper is no discount on all",
        ),
        pytest.param(
            [invoice("85", skus=[None])],
            LedgerMonth([euro("70"), euro("30", "s1")]),
            ("0", "0", "-15", "0"),
            id="a line without a SKU stands for its system: whole per cent only",
        ),
        pytest.param(
            [invoice("84.7", skus=[None])],
            LedgerMonth([euro("100")]),
            ("0", "0", "0", "-15.3"),
            id="one sum and a crooked part prove no discount",
        ),
        pytest.param(
            [invoice("0.08")],
            LedgerMonth([euro("0.1")]),
            ("0", "0", "0", "-0.02"),
            id="cents prove no discount",
        ),
        pytest.param(
            [invoice("93")],
            LedgerMonth([euro("100")], edges=[euro("-7")]),
            ("0", "-7", "0", "0"),
            id="timing goes before a discount where either would do",
        ),
        pytest.param(
            [invoice("90")],
            LedgerMonth([euro("100")], edges=[euro("-7")]),
            ("0", "0", "-10", "0"),
            id="a shift that only comes nearer does not hide a discount",
        ),
        pytest.param(
            [invoice("2", currency="USD", per_euro="3")],
            LedgerMonth([usd("1", "0")], edges=[usd("1", "0")]),
            ("0.333333333", "0.333333333", "0", "0.000000001"),
            id="what rounding leaves is a rest, so that the parts add up",
        ),
        pytest.param(
            [invoice("10125", currency="USD", per_euro="1.20")],
            LedgerMonth([usd("10000", "8000")], edges=[usd("250", "200"), usd("-125", "-100")]),
            ("333.333333333", "104.166666667", "0", "0"),
            id="the example of the documentation",
        ),
        pytest.param([invoice("10")], LedgerMonth(), ("0", "0", "0", "10"), id="an invoice on what nobody metered"),
        pytest.param(
            [invoice("-5")], LedgerMonth([euro("10")]), ("0", "0", "0", "-15"), id="a credit note alone is no discount"
        ),
    ],
)  # fmt: skip
def test_what_explains_a_difference(invoices: list[Invoice], ledger: LedgerMonth, expected: tuple[str, ...]) -> None:
    assert parts(reconcile("v", NOVEMBER, invoices, ledger, OUR_RATES)) == expected


def test_the_discount_is_named() -> None:
    ledger = LedgerMonth([euro("100"), euro("50", "s1")])
    assert reconcile("v", NOVEMBER, [invoice("87.4", "43.7")], ledger, OUR_RATES).discount == Fraction("0.126")
    forgotten = LedgerMonth([euro("90", at_list="100")])
    assert reconcile("v", NOVEMBER, [invoice("100")], forgotten, OUR_RATES).document()["discount"] == "0"
    assert reconcile("v", NOVEMBER, [invoice("90")], forgotten, OUR_RATES).document()["discount"] is None


def test_an_invoice_in_a_currency_without_a_rate_cannot_be_compared() -> None:
    found = reconcile("v", NOVEMBER, [invoice("10", currency="SEK")], LedgerMonth([euro("10")]), OUR_RATES)
    told = found.document()
    assert (told["invoiced_eur"], told["difference_eur"], told["explained"]) == (None, None, None)
    assert told["ledger_eur"] == "10"
    assert told["needs_a_person"]


def test_what_has_no_price_is_counted_and_never_guessed() -> None:
    gap = Unpriced("claude", "new", "input_tokens", "no tariff", 3)
    found = reconcile("v", NOVEMBER, [invoice("12")], LedgerMonth([euro("10")], unpriced=[gap]), OUR_RATES)
    assert parts(found) == ("0", "0", "0", "2"), "even where it is the only thing left"
    assert found.document()["unpriced"] == [
        {"system": "claude", "sku": "new", "meter": "input_tokens", "reason": "no tariff", "charges": 3}
    ]


@pytest.mark.parametrize(
    ("net", "trued_up", "expected"),
    [
        ("10", 0, False),
        ("10.009", 0, False),
        ("10.01", 0, True),
        ("11", NANO, False),
        ("11", NANO // 2, True),
    ],
)
def test_who_must_look_at_it(net: str, trued_up: int, expected: bool) -> None:
    ledger = LedgerMonth([euro("10")], trued_up_nano=trued_up)
    assert reconcile("v", NOVEMBER, [invoice(net)], ledger, OUR_RATES).needs_a_person is expected


def test_the_highest_revision_stands_whatever_came_first_and_may_have_moved() -> None:
    first, second = invoice("1"), invoice("2", revision=1)
    moved, other = invoice("3", revision=2, month="2026-12"), invoice("4", invoice_id="0")
    assert standing([second, other, first]) == [other, second]
    assert of_month([moved, first, other], NOVEMBER) == [other]
    assert of_month([moved, first, other], NOVEMBER.next) == [moved]
    assert standing([first, invoice("9")]) == [first], "of one revision the first counts"


amounts = st.decimals(min_value=-(10**6), max_value=10**6, places=5, allow_nan=False)
nanos = st.integers(min_value=-(10**15), max_value=10**15)
charges = st.builds(
    Charges,
    st.sampled_from(["claude", "other"]),
    st.sampled_from(["s0", "s1"]),
    st.sampled_from(["EUR", "USD", ""]),
    nanos,
    nanos,
    nanos,
)
ledgers = st.builds(
    LedgerMonth, st.lists(charges, max_size=4), st.lists(charges, max_size=2), st.lists(charges, max_size=2)
)


@given(
    st.lists(st.tuples(amounts, st.sampled_from(["EUR", "USD"]), st.sampled_from([None, "0.9", "1.1172"])), max_size=3),
    ledgers,
)
def test_the_parts_add_up_to_the_difference(sums: list[tuple[Decimal, str, str | None]], ledger: LedgerMonth) -> None:
    invoices = [
        invoice(f"{net:f}", invoice_id=str(number), currency=currency, per_euro=None if currency == "EUR" else rate)
        for number, (net, currency, rate) in enumerate(sums)
    ]
    found = reconcile("v", NOVEMBER, invoices, ledger, OUR_RATES)
    explained = found.fx_nano + found.timing_nano + found.discount_nano + found.unexplained_nano
    assert found.difference_nano == explained
    assert found.ledger_nano == sum(one.eur_nano for one in ledger.charges)


@given(st.lists(charges, max_size=3), st.lists(charges, max_size=2), st.lists(charges, max_size=2), amounts)
def test_timing_never_makes_the_rest_larger(
    month: list[Charges], edges: list[Charges], late: list[Charges], net: Decimal
) -> None:
    def rest(ledger: LedgerMonth) -> int:
        found = reconcile("v", NOVEMBER, [invoice(f"{net:f}")], ledger, OUR_RATES)
        return abs(found.unexplained_nano)

    assert rest(LedgerMonth(month, edges, late)) <= rest(LedgerMonth(month)) + NANO // 100
