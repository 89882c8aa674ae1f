from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from services.cost_alerts.domain.covering import covering, coverings, lines
from services.cost_alerts.domain.rating import unit_line
from services.shared.events import prices
from services.shared.events.envelope import Fact
from services.shared.events.register import System
from tests.unit.cost_alerts.domain.city import NOON, book, contract, pool, profile, tariff, usd, use

RATE = usd(date(2026, 10, 13), "1.25")
CARD = tariff("2", per="1", id="card", currency=None, credit="flex", multipliers={"tier": {"a": "1.5", "free": "0"}})
CREDIT = tariff("0.01", per="1", id="credit", sku="flex", meter="credits", currency="USD")
TIERS = ({"up_to": "100", "price": "0"}, {"price": "2"})
GRADUATED_CREDIT = tariff(None, id="credit", sku="flex", meter="credits", model="graduated", tiers=TIERS)
TIER_A = {"dimensions": (("tier", "a"),)}
REPORTED = System(id="claude", vendor="v", name="Claude", owner="ict", price_from="reported")


def held(*terms: object, **members: object) -> prices.Contract:
    return contract(terms=terms, **members)


MONEY = {"measure": "cost", "meter": None, "burns": "USD"}


@pytest.mark.parametrize(
    ("facts", "members", "expected"),
    [
        pytest.param([tariff()], {}, None, id="no agreement"),
        pytest.param([held(pool())], {}, ("pool:c/p", 1), id="a pool of the meter needs no tariff"),
        pytest.param([held(pool(sku="opus"))], {}, None, id="a pool of another SKU"),
        pytest.param([held(pool(meter="output_tokens"))], {}, None, id="a pool of another meter"),
        pytest.param([held(pool(), system="other")], {}, None, id="a pool of another system"),
        pytest.param([held(pool(), valid_from=date(2026, 10, 15))], {}, None, id="a pool that has not begun"),
        pytest.param(
            [CARD, held(pool(sku="flex", meter="credits"))],
            TIER_A,
            ("pool:c/p", 3),
            id="credits: two for a unit, half as much again for its tier; what a credit costs is not asked",
        ),
        pytest.param(
            [CARD, held(pool(meter="credits"))], TIER_A, ("pool:c/p", 3), id="a pool of all credits of the system"
        ),
        pytest.param([CARD, held(pool(sku="other", meter="credits"))], TIER_A, None, id="a pool of other credits"),
        pytest.param([CARD, held(pool(meter="credits"))], {}, None, id="how many credits it draws is not known"),
        pytest.param(
            [CARD, held(pool(meter="credits"))],
            {"dimensions": (("tier", "free"),)},
            ("pool:c/p", 0),
            id="use that draws no credits is in the pool and draws none",
        ),
        pytest.param(
            [CARD, CREDIT, RATE, held(pool(**MONEY), discounts=[{"off": "0.5"}])],
            TIER_A,
            ("pool:c/p", Fraction("0.015")),
            id="money: at the price after discounts, in its own currency",
        ),
        pytest.param(
            [CARD, CREDIT, held(pool(**MONEY))], TIER_A, ("pool:c/p", Fraction("0.03")), id="money needs no rate"
        ),
        pytest.param([tariff(), held(pool(**MONEY))], {}, None, id="a price in euro burns no dollars"),
        pytest.param([held(pool(**MONEY))], {}, None, id="without a price nothing is burned"),
        pytest.param(
            [tariff(None, model="graduated", tiers=TIERS)], {}, ("tariff:claude/sonnet/input_tokens", 1), id="graduated"
        ),
        pytest.param(
            [tariff(None, model="volume", tiers=TIERS, sku="*")], {}, ("tariff:claude/*/input_tokens", 1), id="volume"
        ),
        pytest.param(
            [tariff(round_up={"to": "60", "per": "month"})],
            {},
            ("tariff:claude/sonnet/input_tokens", 1),
            id="packages of the month",
        ),
        pytest.param([tariff(round_up={"to": "60"})], {}, None, id="packages of a reading are no agreement"),
        pytest.param(
            [tariff(None, model="graduated", tiers=TIERS), held(pool())], {}, ("pool:c/p", 1), id="a pool goes first"
        ),
        pytest.param(
            [CARD, GRADUATED_CREDIT],
            TIER_A,
            ("tariff:claude/flex/credits", 3),
            id="credits that are graduated by the month",
        ),
        pytest.param(
            [held(pool(id="all"), pool(id="named", sku="sonnet", **MONEY)), tariff(currency="USD")],
            {},
            ("pool:c/named", Fraction("0.000003")),
            id="a named SKU goes before every SKU",
        ),
        pytest.param(
            [held(pool(id="a", **MONEY), pool(id="b")), tariff(currency="USD")],
            {},
            ("pool:c/b", 1),
            id="a quantity goes before money",
        ),
        pytest.param(
            [held(pool(id="x"), id="c2"), held(pool(id="z"), pool(id="y"), id="c1")],
            {},
            ("pool:c1/y", 1),
            id="then by contract and pool",
        ),
        pytest.param([REPORTED, held(pool())], {"cost_currency": "USD"}, None, id="a reported cost is no quantity"),
        pytest.param(
            [REPORTED, held(pool(**MONEY))], {"cost_currency": "USD"}, ("pool:c/p", 1), id="a reported cost burns money"
        ),
        pytest.param(
            [REPORTED, held(pool(**MONEY))], {"cost_currency": "EUR"}, None, id="a reported cost in another currency"
        ),
    ],
)
def test_which_agreement_charges(
    facts: list[Fact], members: dict[str, object], expected: tuple[str, Fraction] | None
) -> None:
    found = covering(book(facts).view(1), use(**members), "input_tokens")  # type: ignore[arg-type]
    assert (found and (found.agreement, found.per_unit)) == expected


def test_a_line_left_to_an_agreement_is_nought_and_names_it() -> None:
    view = book([held(pool(), vat_rate="0.255"), tariff(meter="output_tokens", currency="USD")]).view(1)
    pooled, unpriced = lines(view, use(meters=("input_tokens", "output_tokens")))
    assert (pooled.agreement, pooled.nano_per_unit, pooled.currency, pooled.reason) == (
        "pool:c/p",
        Fraction(0),
        "EUR",
        None,
    )
    assert (unpriced.agreement, unpriced.reason) == (None, "no exchange rate")
    assert pooled.vat_rate == unpriced.vat_rate == Decimal("0.255")


def test_a_pool_counts_what_its_tariff_rounds_up() -> None:
    rounded = CARD.model_copy(update={"round_up": prices.Rounding(to=Decimal(10))})
    found = covering(book([rounded, held(pool(meter="credits"))]).view(1), use(**TIER_A), "input_tokens")  # type: ignore[arg-type]
    assert found is not None
    assert found.counted(Decimal(11)) == 60
    assert found.card is not None
    assert found.card.id == "card"


def test_beyond_a_pool_the_price_is_the_contract_s() -> None:
    facts = [CARD, CREDIT, RATE, held(pool(meter="credits"), discounts=[{"sku": "flex", "off": "0.1"}])]
    line = unit_line(book(facts).view(1), use(**TIER_A), "input_tokens")  # type: ignore[arg-type]
    assert (line.list_per_unit, line.nano_per_unit, line.currency) == (
        Fraction(30_000_000),
        Fraction(27_000_000),
        "USD",
    )
    assert (line.tariff, line.credit_tariff, line.agreement) == ("card", "credit", None)


def test_of_a_reading_some_meters_are_left_to_agreements() -> None:
    view = book([held(pool(meter="output_tokens")), tariff()]).view(1)
    found = list(coverings(view, use(meters=("input_tokens", "output_tokens"))))
    assert [(position, one.agreement) for position, one in found] == [(1, "pool:c/p")]


def test_a_reported_cost_that_burns_a_pool_counts_as_the_reading() -> None:
    view = book([REPORTED, held(pool(**MONEY))]).view(1)
    used = use(meters=("a", "b"), cost_currency="USD")
    [line] = lines(view, used)
    [(position, found)] = coverings(view, used)
    assert (line.meter, line.of_reading, line.agreement, line.nano_per_unit) == ("*", True, "pool:c/p", Fraction(0))
    assert (position, found.of_reading, found.counted(Decimal("1.5"))) == (0, True, Fraction("1.5"))


@pytest.mark.parametrize(
    ("facts", "members", "reason"),
    [
        pytest.param([CARD], TIER_A, "credit flex: no tariff", id="nobody says what a credit costs"),
        pytest.param([CARD, CREDIT], TIER_A, "no exchange rate", id="both steps, but no rate"),
        pytest.param([CARD, CREDIT], {}, "no factor for its tier", id="the first step first"),
        pytest.param(
            [CARD, tariff("1", sku="flex", meter="credits", currency=None, credit="flex")],
            TIER_A,
            "credit flex: itself priced in credits",
            id="a credit of credits",
        ),
        pytest.param(
            [CARD, CREDIT.model_copy(update={"round_up": prices.Rounding(to=Decimal(1))})],
            TIER_A,
            "credit flex: its round_up belongs on the tariff of the meter",
            id="rounding on the wrong step",
        ),
        pytest.param(
            [CARD.model_copy(update={"round_up": prices.Rounding(to=Decimal(1), per="month")}), CREDIT],
            TIER_A,
            "credit flex: round_up per month does not go with credits",
            id="monthly packages of what is priced in credits",
        ),
    ],
)
def test_why_credits_have_no_price(facts: list[Fact], members: dict[str, object], reason: str) -> None:
    [line] = lines(book(facts).view(1), use(**members))  # type: ignore[arg-type]
    assert line.reason == reason


def test_a_discount_begins_and_ends_with_its_contract() -> None:
    made = book([tariff(), contract(valid_to=date(2026, 10, 15), discounts=[{"off": "0.25"}])])
    last, after = datetime(2026, 10, 14, 23, 59, 59, tzinfo=UTC), datetime(2026, 10, 15, tzinfo=UTC)
    assert [unit_line(made.view(1), use(start), "input_tokens").nano_per_unit for start in (NOON, last, after)] == [
        2250,
        2250,
        3000,
    ]
    assert made.segment(NOON) == made.segment(last) != made.segment(after)


def test_a_use_is_made_with_the_sizes_that_prices_depend_on() -> None:
    sized = tariff(None, model="by_request_size", tiers=[{"up_to": "100", "price": "1"}, {"price": "2"}])
    made = book([sized])
    found = made.use(profile(), NOON, [Decimal(7)], "USD")
    assert (found.day, found.reported_currency, found.sizes) == (date(2026, 10, 14), "USD", (Decimal(100),))
    assert made.use(profile(system="other"), NOON, [Decimal(7)]).sizes == ()
