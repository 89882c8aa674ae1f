"""What budgets keep on every store: what counts, epochs, forecasts, one message up the tree, each told once."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import update

from services.cost_alerts.adapters.tables import BUDGET_USE, FORECAST
from services.cost_alerts.domain.alerts.letter import Letter
from services.cost_alerts.domain.budgets.crossing import crossing_id
from services.cost_alerts.domain.budgets.state import BudgetState
from services.cost_alerts.domain.foresight.forecast import Forecast, Range
from services.shared.events import register as facts
from services.shared.events.outcomes import Crossing, ThresholdCrossed, ThresholdReceded
from services.shared.events.plans import Programme
from services.shared.periods import helsinki_day
from services.shared.store.tables import common_tables
from tests.contract.ledger_world import BASE, SYSTEM, World, budget, reading, rule, tariff, unit
from tests.contract.mortal import Died, die_at

MakeWorld = Callable[[], World]

FORECASTS = ("made_on", "level", "name", "first_day", "last_day", "body")
EURO = 10**9


def crossed(world: World) -> list[Crossing]:
    return [one.data for one in world.events(ThresholdCrossed)]


def told(world: World) -> list[tuple[str, str, int, str]]:
    """(budget, threshold, epoch, cause) of what was told."""
    return [(one.budget, str(one.threshold), one.epoch, one.cause) for one in crossed(world)]


def letters(world: World) -> list[Letter]:
    """What waits for people, one of each message."""
    outbox = common_tables(BUDGET_USE.metadata).outbox
    with world.service.store.reading() as connection:
        values = connection.execute(outbox.select().where(outbox.c.destination == "mail")).all()
    return [Letter.model_validate_json(row.value) for row in values]


def used(world: World) -> dict[str, int]:
    """Budget → whole cents used."""
    return {name: one.used_nano * 100 // EURO for name, one in states(world).items()}


def states(world: World) -> dict[str, BudgetState]:
    return {one.budget.id: one for one in world.service.queries.budgets(helsinki_day(world.clock.now()))}


def foresee(world: World, name: str, mid: int) -> None:
    """Keep a forecast of the year for a budget, as it is made today: half of it is owed by contracts."""
    made_on, first, last = helsinki_day(world.clock.now()), date(2026, 1, 1), date(2026, 12, 31)
    half = mid * EURO // 2
    found = Forecast(
        level="budget", name=name, made_on=made_on, first=first, last=last, actual_nano=0, fixed_nano=half,
        renewed_nano=0, planned_nano=0, variable=Range(half - EURO, half, half + EURO),
    )  # fmt: skip
    row = (made_on.toordinal(), "budget", name, first.toordinal(), last.toordinal(), found.model_dump_json())
    with world.service.store.transaction() as tx:
        tx.connection.execute(FORECAST.delete().where(FORECAST.c.name == name))
        tx.bulk_insert(FORECAST, FORECASTS, [row])


class BudgetsContract:
    @pytest.fixture
    def make_world(self) -> MakeWorld:
        raise NotImplementedError

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> World:
        world = make_world()
        world.register(*BASE)
        return world

    @pytest.fixture(autouse=True)
    def holds_and_tells_nothing_again(self, world: World) -> Iterator[None]:
        """After every test: the ledger holds, and folding the bus again changes and tells nothing."""
        yield
        world.settle()
        assert world.problems() == []
        before, state = sorted(map(repr, crossed(world))), states(world)
        sent = [world.outgoing(way) for way in ("mail", "webhook", "teams")]
        world.rebuild()
        assert world.problems() == []
        assert states(world) == state
        assert sorted(map(repr, crossed(world))) == before
        assert [world.outgoing(way) for way in ("mail", "webhook", "teams")] == sent
        world.close()

    def test_a_cost_counts_where_all_narrowings_fit(self, world: World) -> None:
        world.register(
            facts.System(id="other", vendor="openai", name="Other", owner="city"),
            tariff("input_tokens", "3.00", id="other", system="other"),
            Programme(id="digi", name={"en": "Digital"}, projects=("P-7",), systems=("other",)),
            rule("project", 1, "kymp", account="wrk-project").model_copy(update={"project": "P-7"}),
            budget("all", "city", "1000.00"),
            budget("system", "city", "1000.00", system=SYSTEM),
            budget("vendor", "kymp", "1000.00", vendor="openai"),
            budget("project", "city", "1000.00", project="P-7"),
            budget("programme", "kymp", "1000.00", programme="digi"),
            budget("both", "kymp", "1000.00", vendor="anthropic", programme="digi"),
        )
        tokens = {"input_tokens": "1000000"}  # 2.40 EUR
        world.publish(
            reading("a", consumed=tokens),
            reading("b", consumed=tokens, system="other", account="wrk-kymp"),
            reading("c", consumed=tokens, account="wrk-project"),
            reading("d", consumed=tokens, account="wrk-sote"),
        )
        world.settle()
        assert used(world) == {
            "all": 960, "system": 720, "vendor": 240, "project": 240, "programme": 480, "both": 240,
        }  # fmt: skip
        world.register(Programme(id="digi", name={"en": "Digital"}, projects=("P-7",), systems=(SYSTEM,)))
        world.settle()
        assert (used(world)["programme"], used(world)["both"]) == (480, 480), "a programme that changes"

    def test_a_check_sees_what_was_changed_by_hand(self, world: World) -> None:
        world.register(budget("b", "kymp", "9.00", system=SYSTEM))
        world.publish(reading("a"))
        world.settle()
        with world.service.store.transaction() as tx:
            tx.connection.execute(update(BUDGET_USE).values(eur_nano=BUDGET_USE.c.eur_nano + 1))
        assert [one for one in world.problems() if one.startswith("budget b counts 3.600000001 euro as used")]
        world.rebuild()

    def test_a_correction_ends_an_epoch_and_the_next_word_says_so(self, world: World) -> None:
        world.register(budget("b", "kymp", "7.20", "0.5"))
        for revision in range(3):  # used, taken back, used again
            world.publish(reading("a", revision, retracted=revision == 1))
            world.settle()
        assert told(world) == [("b", "0.5", 0, "use"), ("b", "0.5", 1, "correction")]
        [fell] = world.events(ThresholdReceded)
        assert (fell.data.epoch, fell.data.used_eur, fell.data.thresholds) == (0, Decimal(0), (Decimal("0.5"),))
        assert states(world)["b"].epoch == 1

    def test_use_that_moves_while_charges_follow_the_register_ends_no_epoch(self, world: World) -> None:
        """From prices by the token to a pool: readings cost nothing before the pool is charged."""
        world.register(budget("b", "kymp", "7.20", "0.5"))
        world.publish(reading("a"))
        world.settle()
        world.register(tariff("input_tokens", "0.00"), tariff("output_tokens", "0.00"))
        register, _, _ = world.service.consumers
        register.step()
        world.service.watch.step()
        world.service.restater.step()
        world.service.watch.step()
        assert world.events(ThresholdReceded) == []
        world.settle()
        assert len(world.events(ThresholdReceded)) == 1, "once everything follows it, it is a correction"

    def test_an_amendment_begins_an_epoch_on_its_day(self, world: World) -> None:
        change = {"valid_from": "2026-10-03", "amount": "-2.00", "decision": "EX-7"}
        world.register(budget("b", "kymp", "7.20", "0.5", amendments=[change]))
        world.publish(reading("a"))
        world.settle()
        assert (told(world), states(world)["b"].amount) == ([("b", "0.5", 0, "use")], Decimal("7.2"))
        world.clock.set(datetime(2026, 10, 2, 20, 59, tzinfo=UTC))
        world.settle()
        assert len(crossed(world)) == 1, "a minute before its day begins in Helsinki"
        world.later(minutes=1)
        world.settle()
        assert told(world) == [("b", "0.5", 0, "use"), ("b", "0.5", 1, "amendment")]
        assert (crossed(world)[1].decision, crossed(world)[1].amount_eur) == ("EX-7", Decimal("5.20"))

    def test_what_a_year_left_is_added_to_the_next(self, world: World) -> None:
        carry = {"budget": "last", "most": "3.00", "decision": "EX-8"}
        world.register(
            budget("last", "kymp", "7.20", "9.9", period=2025),
            budget("b", "kymp", "4.00", "0.5", "1.0", carry_over=carry),
        )
        world.publish(reading("old", start=datetime(2025, 12, 1, 8, tzinfo=UTC)), reading("a"))
        world.settle()
        state = states(world)["b"]
        assert (state.carried_nano, state.amount_nano) == (3 * EURO, 7 * EURO)
        assert told(world) == [("b", "0.5", 0, "use")]

    def test_a_forecast_is_told_once_however_it_moves(self, world: World) -> None:
        world.register(budget("b", "kymp", "10.00", "1.0", forecast_thresholds=["1.0"]))
        world.publish(reading("a"))
        for mid in (9, 10, 8, 12):
            world.later(days=1)
            foresee(world, "b", mid)
            world.settle()
        [found] = crossed(world)
        assert (found.measure, found.spoken, found.used_eur) == ("forecast", True, Decimal("3.6"))
        assert (found.forecast_eur, found.committed_eur) == (Decimal(10), Decimal(5))
        state = states(world)["b"]
        assert (state.committed_nano, state.forecast) == (6 * EURO, Range(11 * EURO, 12 * EURO, 13 * EURO))
        assert state.condition == "at_risk"

    def test_a_forecast_of_what_a_budget_counts_no_more_is_not_told(self, world: World) -> None:
        world.register(budget("b", "kymp", "90.00", "1.0", forecast_thresholds=["1.0"]))
        world.publish(reading("a"))
        world.settle()
        world.service.forecaster.step()
        foresee(world, "b", 20)
        world.register(budget("b", "kymp", "10.00", "1.0", forecast_thresholds=["1.0"], project="P-7"))
        register, _, _ = world.service.consumers
        register.step()
        world.service.watch.step()
        world.later(days=1)
        world.service.forecaster.step()
        foresee(world, "b", 11)
        world.settle()
        assert [(one.measure, one.forecast_eur) for one in crossed(world)] == [("forecast", Decimal(11))]

    def test_one_overrun_is_one_message_to_each_role(self, world: World) -> None:
        world.register(
            unit("team", "kymp"), rule("team", 1, "team", account="wrk-team"),
            budget("team", "team", "1.00", "1.0", recipients=["finance-team", "finance-city"]),
            budget("kymp", "kymp", "5.00", "1.0", recipients=["finance-kymp", "finance-city"]),
            budget("city", "city", "8.00", "1.0", recipients=["finance-city"]),
        )  # fmt: skip
        world.publish(reading("quiet"))  # 3.60 of kymp's
        world.settle()
        assert crossed(world) == []
        world.publish(reading("loud", account="wrk-team"), reading("other", account="wrk-sote"))
        world.settle()
        by_budget = {one.budget: one for one in crossed(world)}
        teller = crossing_id(by_budget["team"])
        assert {name: (one.spoken, one.told_by) for name, one in by_budget.items()} == {
            "team": (True, None), "kymp": (False, teller), "city": (True, None),
        }  # fmt: skip
        assert sorted(role for _, role in world.outgoing("mail")) == [
            "finance-city", "finance-city", "finance-kymp", "finance-team",
        ]  # fmt: skip
        named = {(letter.alert_id, *(also.budget for also in letter.also)) for letter in letters(world)}
        assert named == {(teller, "kymp"), (crossing_id(by_budget["city"]),)}
        [letter, *_] = [one for one in letters(world) if one.also]
        assert [mover.after_eur for mover in letter.briefing.movers] == [], "nothing of it is a whole day old"
        assert letter.briefing.actions[0] == "decide_on_budget"

    def test_a_lost_ledger_knows_every_epoch_from_the_bus(self, make_world: MakeWorld, world: World) -> None:
        world.register(budget("b", "kymp", "7.20", "0.5"))
        for revision in range(3):
            world.publish(reading("a", revision, retracted=revision == 1))
            world.settle()
        before = states(world)
        world.close()
        other = make_world()
        other.bus, other.version = world.bus, world.version
        other.clock.set(world.clock.now())
        other.settle()
        assert states(other) == before
        assert (other.outgoing("mail"), len(crossed(other))) == ([], 2)
        other.close()

    def test_killed_anywhere_each_crossing_is_recorded_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The watch dies before its every step inside the transaction, and once behind it, before anything has left."""
        world.register(
            budget("b", "kymp", "7.20", "0.5", "1.0"),
            budget("city", "city", "7.20", "0.5", forecast_thresholds=["1.0"]),
        )
        world.publish(reading("a"), reading("b"))
        world.settle()
        foresee(world, "city", 9)
        world.publish(reading("b", 1, retracted=True))
        before = {crossing_id(one) for one in crossed(world)}
        deaths = 0
        world.service.catch_up(lambda _done, _total: None)
        while True:
            try:
                with die_at(world.service.store, deaths, monkeypatch):
                    world.service.watch.step()
            except Died:
                deaths += 1
            else:
                break
        assert deaths > len(("begin", "facts", "recede", "keep", "send", "send", "commit"))
        world.restart()  # what was decided has not left yet
        world.settle()
        world.settle()
        fresh = [one for one in crossed(world) if crossing_id(one) not in before]
        assert sorted((one.budget, str(one.threshold), one.epoch, one.measure) for one in fresh) == [
            ("b", "0.5", 1, "used"), ("city", "1.0", 0, "forecast"),
        ]  # fmt: skip
        assert len(world.events(ThresholdReceded)) == 1
        assert len(world.outgoing("mail")) == len({name for name, _ in world.outgoing("mail")})

    def test_the_plan_stands_beside_the_use(self, world: World) -> None:
        world.register(budget("b", "kymp", "365.00"))
        world.publish(reading("a"))
        world.clock.set(datetime(2026, 10, 11, 9, tzinfo=UTC))
        world.settle()
        state = states(world)["b"]
        assert (state.planned_to_date_nano, state.used_nano) == (284 * EURO, 36 * EURO // 10)
        assert state.day == date(2026, 10, 11)
        later = {one.budget.id: one for one in world.service.queries.budgets(date(2027, 2, 1))}["b"]
        assert (later.planned_to_date_nano, later.day) == (365 * EURO, date(2026, 12, 31))
