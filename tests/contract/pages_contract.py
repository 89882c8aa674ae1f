"""What the ledger's page and its routes tell on every store: pools, what changed afterwards, closed months."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.cost_alerts.adapters.pools import pools
from services.shared.events import register as facts
from services.shared.events.prices import Contract
from services.shared.periods import Month
from tests.contract.closing_contract import close
from tests.contract.ledger_world import BASE, OCTOBER, World, reading, tariff

MakeWorld = Callable[[], World]

STUDIO = "studio"
POOL = Contract.model_validate(
    {
        "id": "studio-2026",
        "system": STUDIO,
        "vendor": "microsoft",
        "time_zone": "Europe/Helsinki",
        "valid_from": date(2026, 10, 1),
        "terms": [
            {"kind": "pool", "id": "pack", "sku": "credits", "meter": "credits", "size": "100", "price": "50"}
            | {"currency": "USD"}
        ],
    }
)
STUDIO_FACTS = (
    facts.System(id=STUDIO, vendor="microsoft", name="Studio", owner="city"),
    tariff("credits", "0.01", id="credit", system=STUDIO, sku="credits", per="1"),
    POOL,
)


def drawn(name: str, day: int, credits_drawn: str, account: str) -> Any:  # noqa: ANN401  # an event
    start = datetime(2026, 10, day, 8, tzinfo=UTC)
    return reading(
        name, system=STUDIO, sku="credits", start=start, account=account, consumed={"credits": credits_drawn}
    )


class PagesContract:
    """Inherited by the test of each store, which gives `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> Iterator[World]:
        world = make_world()
        world.register(*BASE)
        yield world
        world.close()

    @pytest.fixture
    def get(self, world: World) -> Callable[[str], Any]:
        def ask(path: str) -> Any:  # noqa: ANN401  # a JSON document
            world.settle()
            answer = visitor(world).get(path)
            assert answer.status_code == 200, answer.text
            return answer.json()

        return ask

    @pytest.fixture
    def pool(self, world: World) -> World:
        """October's pack of a hundred is used by two units alike, the second one twenty beyond it."""
        world.register(*STUDIO_FACTS)
        world.publish(drawn("a", 2, "60", "wrk-kymp"), drawn("b", 3, "60", "wrk-sote"))
        world.settle()
        world.clock.set(datetime(2026, 11, 2, 9, tzinfo=UTC))
        world.begin_day()
        return world

    def test_a_pool_that_ran_dry(self, pool: World, get: Callable[[str], Any]) -> None:
        [found] = get("/api/v1/pools?month=2026-10")["pools"]
        figures = [found[name] for name in ("pool", "size", "used", "left", "beyond", "exhausted_at")]
        assert figures == ["studio-2026/pack", "100", "120", "0", "20", "2026-10-03T08:00:00Z"]
        assert found["next_unit"] == {"amount": "0.01", "currency": "USD"}
        marginal = {unit: use["marginal_eur"] for unit, use in found["units"].items()}
        assert marginal == {"kymp": "0", "sote": "0.16"}

    def test_what_a_pool_allocates_is_what_the_ledger_has(self, pool: World, get: Callable[[str], Any]) -> None:
        [found] = get("/api/v1/pools?month=2026-10")["pools"]
        allocated = {unit: Decimal(use["allocated_eur"]) for unit, use in found["units"].items()}
        assert allocated == {unit: Decimal(eur) for unit, eur in pool.eur(OCTOBER, basis="incurred").items()}
        off = abs(sum(allocated.values()) - Decimal("40.16"))  # each day of the price is rounded to euro on its own
        assert off < Decimal("0.000000031")

    def test_a_pool_s_days(self, pool: World) -> None:
        [found] = pools(pool.service.store, OCTOBER)
        assert [(one.day.day, str(one.left), str(one.beyond)) for one in found.days] == [(2, "40", "0"), (3, "0", "20")]

    def test_a_new_month_has_a_new_pool(self, pool: World, get: Callable[[str], Any]) -> None:
        [found] = get("/api/v1/pools?month=2026-11")["pools"]
        assert (found["left"], found["exhausted_at"]) == ("100", None)
        assert found["next_unit"]["amount"] == "0"

    @pytest.mark.parametrize("month", ["2026-09", "2026-12"])
    def test_a_month_without_a_pool_has_none(self, pool: World, get: Callable[[str], Any], month: str) -> None:
        assert get(f"/api/v1/pools?month={month}")["pools"] == []

    @pytest.mark.parametrize("minutes", [0, 5])
    def test_a_day_that_was_told_again(self, world: World, get: Callable[[str], Any], minutes: int) -> None:
        world.publish(reading("a"), reading("b"))
        world.later(minutes=minutes)
        world.publish(reading("a", 1, consumed={"input_tokens": "500000", "output_tokens": "50000"}))
        [found] = get("/api/v1/revisions")["revisions"]
        assert (found["day"], found["readings"]) == ("2026-10-02", 1)
        assert (found["before_eur"], found["after_eur"]) == ("3.6", "1.8")

    def test_what_was_told_again_alike_is_no_news(self, world: World, get: Callable[[str], Any]) -> None:
        world.publish(reading("a", finality="provisional"))
        world.later(minutes=5)
        world.publish(reading("a", 1))
        assert get("/api/v1/revisions")["revisions"] == []

    def test_a_price_that_came_late(self, world: World, get: Callable[[str], Any]) -> None:
        world.publish(reading("a", sku="new-model"))
        world.settle()
        world.later(minutes=5)
        late = [
            tariff(meter, "2.50", id=f"new-{meter}", sku="new-model") for meter in ("input_tokens", "output_tokens")
        ]
        version = world.register(*late, marker={"author": "ict", "reason": "it came late"})
        world.settle()
        while world.service.restater.step() == 0.0:
            pass
        [found] = get("/api/v1/restatements")["restatements"]
        assert (found["register_version"], found["author"], found["reason"]) == (version, "ict", "it came late")
        assert (found["unpriced_before"], found["unpriced_after"]) == (1, 0)
        assert (found["before_eur"], found["after_eur"]) == ({"kymp": "0"}, {"kymp": "2.2"})
        assert (found["first_day"], found["last_day"]) == ("2026-10-02", "2026-10-02")

    def test_what_came_after_a_closing(self, world: World, get: Callable[[str], Any]) -> None:
        late_in_a_closed_month(world)
        assert get("/api/v1/adjustments")["adjustments"] == [
            {"booked_in": "2026-11", "month": "2026-10", "unit": "sote", "eur": "3.6"}
        ]

    @pytest.mark.parametrize(
        ("language", "said"),
        [
            ("fi", ["Loppui 3.10.2026", "20,16", "Muuttuneet"]),
            ("sv", ["Tog slut 3.10.2026", "20,16", "Ändrade dagar"]),
            ("en", ["Ran dry on 3 Oct 2026", "€20.16", "Days changed", "booked in an open month"]),
        ],
    )
    def test_the_page_tells_it_in_three_languages(self, pool: World, language: str, said: list[str]) -> None:
        late_in_a_closed_month(pool)
        pool.register(tariff("input_tokens", "6.00"), marker={"reason": "<b>doubled</b>"})
        pool.settle()
        while pool.service.restater.step() == 0.0:
            pass
        answer = visitor(pool).get(f"/ledger?month=2026-10&lang={language}")
        assert answer.status_code == 200
        assert answer.headers["content-language"] == language
        text = answer.text.replace("\N{NO-BREAK SPACE}", " ")
        assert [one for one in said if one not in text] == []
        assert "&lt;b&gt;doubled" in text
        ids = set(re.findall(r'id="([^"]+)"', text))
        assert {link for link in re.findall(r'href="#([^"]+)"', text)} <= ids  # noqa: C416  # a set of groups

    def test_an_empty_ledger_has_a_page(self, world: World) -> None:
        world.settle()
        text = visitor(world).get("/ledger?lang=en").text
        for nothing in ("No prepaid pool", "No old costs", "No invoice", "No month is closed"):
            assert nothing in text


def late_in_a_closed_month(world: World) -> None:
    """October is closed in November; then use of it becomes known."""
    world.publish(reading("early"))
    world.settle()
    world.clock.set(datetime(2026, 11, 3, 9, tzinfo=UTC))
    close(world, Month(2026, 10), by="finance")
    world.later(hours=1)
    world.publish(reading("late", account="wrk-sote"))
    world.settle()


def visitor(world: World) -> TestClient:
    app = FastAPI()
    app.include_router(world.service.router)
    return TestClient(app)
