"""What forecasts are on every store: exact where the ledger is, kept as they were made, and made by nobody's asking."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from services.cost_alerts.adapters.foresight import SqlForecasts, pool_outlooks
from services.cost_alerts.adapters.foresight.book import SqlForesight
from services.cost_alerts.adapters.foresight.fixed import fixed_days
from services.cost_alerts.adapters.foresight.sums import spent
from services.cost_alerts.adapters.tables import FORECAST, ROLLUP
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.handlers import forecasting
from services.cost_alerts.handlers.forecasting import Forecaster
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.events.plans import PlannedChange
from services.shared.events.prices import Contract
from services.shared.periods import Month
from tests.contract.ledger_world import (
    BASE,
    SYSTEM,
    World,
    budget,
    placed,
    rate,
    reading,
    seat,
    seat_count,
    tariff,
    unit,
)

MakeWorld = Callable[[], World]

FIRST = date(2026, 8, 3)
TODAY = date(2026, 11, 21)
DAY = timedelta(days=1)
HELSINKI = "Europe/Helsinki"


def _contract(system: str, *terms: Mapping[str, Any], **members: Any) -> Contract:  # noqa: ANN401  # of the model
    given = {"id": f"{system}-2026", "system": system, "vendor": "microsoft", "time_zone": HELSINKI}
    return Contract.model_validate(given | {"valid_from": date(2026, 8, 1), "terms": list(terms)} | members)


def _fee(name: str, **members: Any) -> Mapping[str, Any]:  # noqa: ANN401  # of the model
    return {"kind": "fee", "id": name, "sku": name, "amount": "100.01", "currency": "EUR"} | members


TOWN: tuple[Fact, ...] = (
    *BASE,
    tariff("input_tokens", "1.50", id="cheap", valid_to=date(2026, 9, 1)),
    tariff("input_tokens", "3.00", valid_from=date(2026, 9, 1)),
    tariff("output_tokens", "15.00", valid_to=date(2026, 12, 1)),
    tariff("output_tokens", "45.00", id="dear", valid_from=date(2026, 12, 1)),
    rate(date(2026, 1, 2), "1.25"),
    unit("tilat", "kymp"),
    *(
        facts.System(id=system, vendor="microsoft", name=system, owner="city")
        for system in ("copilot", "studio", "throughput")
    ),
    tariff("seats", "30", id="seat", system="copilot", sku="M365", model="per_seat_month", per="1", currency="EUR"),
    tariff("credits", "0.01", id="credit", system="studio", sku="credits", per="1"),
    placed("p-a", "tilat"),
    placed("p-b", "sote"),
    placed("p-c", "kymp", until=date(2026, 11, 25)),
    placed("p-c", "sote", date(2026, 11, 25)),
    _contract("copilot", _fee("platform", share={"by": "headcount"}), valid_to=date(2026, 12, 16)),
    _contract(
        "studio",
        {"kind": "pool", "id": "pack", "sku": "credits", "meter": "credits", "size": "1000", "price": "50"}
        | {"currency": "USD"},
    ),
    _contract(
        "throughput",
        {"kind": "capacity", "id": "hours", "sku": "ptu", "quantity": "3", "price": "0.37", "currency": "USD"}
        | {"share": {"by": "fixed", "weights": {"kymp": "2", "sote": "1"}}},
    ),
    budget("kymp-2026", "kymp", "5000", forecast_thresholds=["1.0"]),
    budget("sote-2026", "sote", "5000", system=SYSTEM),
    PlannedChange.model_validate(
        {"id": "roll-out", "kind": "rollout", "system": SYSTEM, "unit": "sote", "valid_from": date(2026, 12, 1)}
        | {"factor": "2", "source": "plan 7"}
    ),
)


def _use(number: int) -> Iterator[Any]:
    start = datetime(FIRST.year, FIRST.month, FIRST.day, 8, tzinfo=UTC) + timedelta(days=number)
    if start.weekday() < 5:
        for account in ("wrk-kymp", "wrk-sote"):
            yield reading(f"{account}-{number}", start=start, account=account)
        yield reading(
            f"pool-{number}",
            system="studio",
            sku="credits",
            start=start,
            account="wrk-kymp",
            consumed={"credits": "60"},
        )


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)


class ForecastsContract:
    """Inherited by the test of each store, which gives `make_world`, once. Its tests go on in order."""

    @pytest.fixture(scope="class")
    @classmethod
    def world(cls, make_world: MakeWorld) -> Iterator[World]:
        """Sixteen weeks of use by two units, seats, a pool, capacity and a fee; the morning of 21 November."""
        world = make_world()
        world.register(*TOWN)
        world.publish(*(event for number in range((TODAY - FIRST).days) for event in _use(number)))
        world.publish(seat_count(date(2026, 11, 1), 7), seat_count(TODAY - DAY, 7))
        world.publish(*(seat(person, date(2026, 8, 1)) for person in ("p-a", "p-b", "p-c")))
        world.clock.set(_moment(TODAY))
        world.settle()
        world.begin_day()
        world.service.forecaster.step()
        yield world
        world.close()

    @pytest.fixture(scope="class")
    @classmethod
    def kept(cls, world: World) -> list[Forecast]:
        with world.service.store.reading() as connection:
            return list(SqlForecasts().newest(connection))

    def test_what_was_paid_is_what_the_ledger_has_to_the_last_nano(self, world: World, kept: list[Forecast]) -> None:
        with world.service.store.reading() as connection:
            query = select(func.sum(ROLLUP.c.eur_nano))
            before = ROLLUP.c.day < TODAY.toordinal()
            november = ROLLUP.c.day >= date(2026, 11, 1).toordinal()
            year = int(connection.execute(query.where(before)).scalar_one())
            month = int(connection.execute(query.where(before, november)).scalar_one())
        assert [one.actual_nano for one in kept if one.level == "city"] == [month, year]
        for level in ("system", "vendor"):
            assert sum(one.actual_nano for one in _of(kept, level, year=True)) == year
        units = {one.name: one for one in _of(kept, "unit", year=True)}
        assert units["kymp"].actual_nano >= units["tilat"].actual_nano > 0
        assert units["city"].actual_nano + units["unallocated"].actual_nano == year

    def test_what_counts_towards_budgets_is_what_the_budgets_say(self, world: World, kept: list[Forecast]) -> None:
        used = {one.budget.id: one.used_nano for one in world.service.queries.budgets(TODAY)}
        with world.service.store.reading() as connection:
            now = spent(connection, TODAY, TODAY + DAY)
        assert not now.places or int(now.use.sum()) == 0
        below = [where.unit in {"kymp", "tilat"} for where in now.places]
        ahead = {"kymp-2026": int(now.total[below].sum()), "sote-2026": 0}
        assert {one.name: one.actual_nano + ahead[one.name] for one in _of(kept, "budget", year=True)} == used

    def test_use_is_foreseen_by_weekday(self, kept: list[Forecast]) -> None:
        """Saturday 21 November: six working days are left, of 3.60 euro for each account."""
        one = _of(kept, "system", year=False, name=SYSTEM)[0]
        assert one.variable is not None
        assert one.variable.mid / 10**9 == pytest.approx(6 * 7.2, rel=0.02)
        assert one.variable.low <= one.variable.mid <= one.variable.high

    def test_prices_that_changed_and_will_change_are_reckoned_with(self, world: World) -> None:
        """A request cost 2.40 euro in August, costs 3.60 now, and 6.00 from December on."""
        with world.service.store.reading() as connection:
            inputs = SqlForesight().inputs(connection, TODAY)
        assert set(inputs.prices) == {SYSTEM}
        levels, first = inputs.prices[SYSTEM], inputs.spent.first_day
        days = {day: levels[(day - first).days] for day in (FIRST, date(2026, 9, 1), TODAY, date(2026, 12, 1))}
        assert list(days.values()) == pytest.approx([2.4 / 3.6, 1.0, 1.0, 6.0 / 3.6])
        assert len(levels) == (date(2026, 12, 31) - first).days + 1

    def test_what_is_planned_is_told_by_unit_and_by_change(self, world: World, kept: list[Forecast]) -> None:
        by_unit = {one.name: one.planned_nano for one in _of(kept, "unit", year=True)}
        assert by_unit["sote"] / 10**9 == pytest.approx(19 * 6.0, rel=0.1)  # holidays taken out, at December's price
        assert (by_unit["kymp"], by_unit["city"]) == (0, by_unit["sote"])
        with world.service.store.reading() as connection:
            plans = SqlForecasts().planned(connection)
        assert [(one.change, one.month_nano, one.year_nano) for one in plans] == [("roll-out", 0, by_unit["sote"])]

    def test_the_pool_runs_dry_when_it_does(self, world: World) -> None:
        """1,000 a month, 60 on a working day: 15 of November's are over, 100 are left, which Tuesday uses up."""
        found = pool_outlooks(world.service.store, TODAY)
        assert [(one.key, str(one.left), str(one.size)) for one in found] == [("pool:studio-2026/pack", "100", "1000")]
        assert found[0].dry_mid == date(2026, 11, 24)
        assert found[0].overage_mid_nano is not None
        assert found[0].overage_mid_nano / 10**9 == pytest.approx((6 * 60 - 100) * 0.008, rel=0.05)
        assert not pool_outlooks(world.service.store, date(2026, 12, 1))

    def test_asking_makes_nothing(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("asking made a forecast")

        monkeypatch.setattr(forecasting, "forecasts", refuse)
        app = FastAPI()
        app.include_router(world.service.router)
        client = TestClient(app, client=("127.0.0.1", 50_000))
        found = client.get("/api/v1/forecasts", params={"level": "city"}).json()
        assert (found["made_on"], len(found["forecasts"]), len(found["pools"])) == ("2026-11-21", 2, 1)
        month = found["forecasts"][0]
        assert (month["first_day"], month["last_day"], month["reason"]) == ("2026-11-01", "2026-11-30", None)
        assert set(month["total_eur"]) == {"low", "mid", "high"}
        assert client.get("/api/v1/forecasts", params={"level": "unit", "name": "nobody"}).json()["forecasts"] == []
        assert client.get("/api/v1/forecasts", params={"level": "street"}).status_code == 422
        tests = client.get("/api/v1/forecasts/tests").json()["tests"]
        assert {one["level"] for one in tests} == {"city", "unit", "system"}
        assert tests[0]["month"] == "2026-10-01"

    def test_they_are_made_again_when_sums_have_changed_but_not_at_once(self, world: World) -> None:
        first = _made_at(world)
        world.service.forecaster.step()
        world.publish(reading("more", start=_moment(TODAY - DAY), account="wrk-kymp"))
        world.later(minutes=4)
        world.settle()
        world.service.forecaster.step()
        assert _made_at(world) == first
        world.later(minutes=2)
        world.service.forecaster.step()
        second = _made_at(world)
        assert second == first + timedelta(minutes=6)
        world.later(hours=1)
        world.service.forecaster.step()
        assert _made_at(world) == second

    def test_fixed_cost_is_what_will_be_charged(self, world: World) -> None:
        """What contracts demand of the days ahead, beside what the ledger then charged for them."""
        until = date(2026, 11, 30)
        with world.service.store.reading() as connection:
            ahead = fixed_days(connection, world.service.queries.view(), TODAY, until)
        foreseen = {(where, day): nano for where, days in ahead.items() for day, nano in days.items()}
        world.publish(seat_count(until, 7))
        world.clock.set(_moment(until + DAY))
        world.begin_day()
        with world.service.store.reading() as connection:
            found = spent(connection, TODAY, until + DAY)
        fixed = found.total - found.use
        charged = {
            (where, TODAY + number * DAY): int(nano)
            for where, row in zip(found.places, fixed, strict=True)
            for number, nano in enumerate(row)
            if nano
        }
        assert foreseen == charged

    def test_days_stay_as_they_were_forecast_and_the_month_is_held_against_them(self, world: World) -> None:
        """1 December: November has ended as the ledger says, and its forecasts are judged."""
        world.service.forecaster.step()
        with world.service.store.reading() as connection:
            days = (
                connection.execute(select(FORECAST.c.made_on).distinct().order_by(FORECAST.c.made_on)).scalars().all()
            )
            tests = {(one.level, one.name): one for one in SqlForecasts().tests(connection)}
            november = [one for one in SqlForecasts().of_month(connection, Month(2026, 11)) if one.level == "city"]
        assert days == [TODAY.toordinal(), date(2026, 12, 1).toordinal()]
        assert [one.made_on for one in november] == [TODAY]
        city = tests["city", ""]
        assert city.month == date(2026, 11, 1)
        assert city.issued is not None
        assert (city.issued.forecasts, city.issued.coverage) == (1, 0.0)  # nobody used anything after all
        assert city.issued.bias == city.issued.error > 0
        whole = city.tested[-1]
        assert whole.day_of_month is None
        assert whole.error is not None
        assert whole.run_rate_error is not None
        assert whole.error < whole.run_rate_error

    def test_one_makes_them_at_a_time_and_nobody_before_the_past_was_read(self, world: World) -> None:
        world.later(days=1)
        store, before = world.service.store, _made_at(world)
        early = Forecaster(store, SqlForesight(), world.clock, lambda _: False, interval_seconds=1)
        early.step()
        with store.exclusive(forecasting.NAME):
            world.service.forecaster.step()
        assert _made_at(world) == before
        world.service.forecaster.step()
        assert _made_at(world) == world.clock.now()

    def test_a_rebuild_keeps_what_was_forecast(self, world: World) -> None:
        def said() -> list[Any]:
            with world.service.store.reading() as connection:
                kept = SqlForecasts()
                return [kept.newest(connection), kept.pools(connection), kept.tests(connection)]

        before = said()
        world.rebuild()
        world.begin_day()
        assert said() == before
        world.service.forecaster.step()
        assert said() == before


def _of(kept: list[Forecast], level: str, *, year: bool, name: str | None = None) -> list[Forecast]:
    first = date(2026, 1, 1) if year else date(2026, 11, 1)
    return [one for one in kept if one.level == level and one.first == first and name in (None, one.name)]


def _made_at(world: World) -> datetime:
    with world.service.store.reading() as connection:
        last = SqlForecasts().last(connection)
    assert last is not None
    return last.at
