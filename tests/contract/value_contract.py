"""What value keeps on every store: a use's own cost beside its results, and licences by unit as the reports tell."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.cost_alerts.adapters.value import value_of
from services.cost_alerts.web.value import value_document
from services.shared.events import register as facts
from services.shared.events.plans import BenefitResult, BenefitTarget
from services.shared.events.usage import Consumer, UsageRecorded
from services.shared.periods import Month
from tests.contract.ledger_world import BASE, OCTOBER, SYSTEM, World, placed, reading, rule, seat, seat_count

MakeWorld = Callable[[], World]

TODAY = date(2026, 10, 20)
KYMP, SOTE = ([f"p-{unit}{number}" for number in range(6)] for unit in ("kymp", "sote"))
TARGET = BenefitTarget(measure="permits", counts="cases", baseline=Decimal(10), target=Decimal(20), owner="head")


def use(name: str, unit: str, project: str | None = None, benefit: BenefitTarget | None = TARGET) -> facts.UseCase:
    return facts.UseCase(
        id=name,
        name={"en": name},
        unit=unit,
        owner="head",
        purpose="Checks",
        systems=(SYSTEM,),
        risk_class="limited",
        project=project,
        benefit=benefit,
        valid_from=date(2026, 1, 1),
    )


FACTS = (
    *BASE,
    rule("account-p7", 5, "kymp", account="wrk-p7").model_copy(update={"project": "P-7"}),
    facts.System(id="copilot", vendor="microsoft", name="Copilot", owner="city", adds_to="chat"),
    facts.System(id="chat", vendor="microsoft", name="Chat", owner="city"),
    *(placed(who, "kymp") for who in KYMP),
    *(placed(who, "sote") for who in SOTE),
    use("permits", "kymp", "P-7"),
    use("whole", "city", None, None),
    use("sotes", "sote"),
    BenefitResult(id="r", use_case="permits", month="2026-10", result=Decimal(9), source="count"),
)


def asked(person: str, system: str, prompts: int, day: date) -> UsageRecorded:
    """Ten days of prompts, as a report tells them."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return reading(
        f"{person}-{system}-{day}", system=system, sku=system,
        start=start, charge_period_end=start + timedelta(days=10),
        consumed={"requests": str(prompts)}, consumer=Consumer(person=person), purpose="telemetry",
    )  # fmt: skip


def document(world: World, month: Month = OCTOBER) -> dict[str, Any]:
    return value_document(value_of(world.service.store, world.service.queries.view(), month, TODAY))


class ValueContract:
    """To be inherited with a fixture `make_world`."""

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> Iterator[World]:
        world = make_world()
        world.register(*FACTS)
        yield world
        world.close()

    def test_a_use_has_its_own_cost(self, world: World) -> None:
        world.publish(
            reading("a", account="wrk-p7"), reading("b", account="wrk-kymp"), reading("c", account="wrk-sote")
        )
        world.settle()
        uses = {one["use_case"]: one for one in document(world)["use_cases"]}
        assert {name: one["eur"] for name, one in uses.items()} == {"permits": "3.6", "whole": "10.8", "sotes": "3.6"}
        assert {name: one["told"] for name, one in uses.items()} == {
            "permits": "results",
            "whole": "no_target",
            "sotes": "no_results",
        }
        assert uses["permits"]["eur_per_result"] == "0.4"
        assert uses["whole"]["costed_by"] == "unit_and_systems"
        assert uses["sotes"]["eur_per_result"] is None

    def test_what_has_no_price_stands_beside_the_cost(self, world: World) -> None:
        world.publish(reading("a", account="wrk-p7", sku="unheard-of"))
        world.settle()
        [month] = next(one for one in document(world)["use_cases"] if one["use_case"] == "permits")["months"]
        assert (month["eur"], month["unpriced"], month["result"]) == ("0", 1, "9")

    def test_another_month_knows_nothing_of_this_one(self, world: World) -> None:
        world.publish(reading("a", account="wrk-p7"))
        world.settle()
        [permits] = [one for one in document(world, Month(2026, 9))["use_cases"] if one["use_case"] == "permits"]
        assert (permits["months"], permits["told"]) == ([], "no_results")

    def test_licences_by_unit_and_before_and_after(self, world: World) -> None:
        before, after, got = date(2026, 9, 10), date(2026, 9, 30), date(2026, 9, 30)
        world.publish(
            seat_count(date(2026, 10, 1), 6),
            *(seat(who, got) for who in KYMP),
            *(asked(who, "chat", 20, before + timedelta(days=days)) for who in KYMP for days in (0, 10)),
            *(asked(who, "chat", 5, after + timedelta(days=days)) for who in KYMP for days in (0, 10)),
            *(asked(who, "copilot", 50, after + timedelta(days=days)) for who in KYMP for days in (0, 10)),
            *(asked(who, "chat", 10, before) for who in SOTE),
        )
        world.settle()
        [found] = document(world)["licences"]
        assert (found["system"], found["base"], found["meter"]) == ("copilot", "chat", "requests")
        assert found["users"] == {
            "persons": 12, "holders": 6, "paid_only": 0, "base_only": 6, "both": 6, "neither": 0
        }  # fmt: skip
        units = {one["unit"]: (one["both"], one["base_only"]) for one in found["units"]}
        assert units == {"kymp": (6, 0), "sote": (0, 6)}
        assert found["change"] == {"persons": 6, "base_before": "60.0", "base_after": "15.0", "paid_after": "150.0"}

    def test_a_retracted_reading_was_never_asked(self, world: World) -> None:
        events = [asked(who, "chat", 20, date(2026, 10, 1)) for who in KYMP]
        world.publish(*events)
        taken = [
            reading(
                one.data.reading_id, 1, system="chat", sku="chat", start=one.data.charge_period_start,
                charge_period_end=one.data.charge_period_end, consumed={"requests": "20"},
                consumer=one.data.consumer, purpose="telemetry", retracted=True,
            )
            for one in events
        ]  # fmt: skip
        world.publish(*taken)
        world.settle()
        assert document(world)["licences"][0]["base_use"]["persons"] == 0
