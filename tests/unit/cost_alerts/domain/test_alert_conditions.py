"""Which conditions hold in a situation: each kind fires, stays quiet, does not flap, and is over."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.alerts.anomalies import RAISED_AT, is_unusual, median, usual_cost
from services.cost_alerts.domain.alerts.conditions import Changes, changes, find
from services.cost_alerts.domain.alerts.days import is_holiday, usual_weekdays
from services.cost_alerts.domain.alerts.found import Found
from services.cost_alerts.domain.alerts.silence import missing_days, usual_delay
from services.cost_alerts.domain.alerts.situation import (
    Arrivals,
    Completed,
    Drying,
    Priced,
    Rise,
    Situation,
    Topic,
    Unpriced,
    Use,
)
from services.cost_alerts.domain.view import View
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.events.outcomes import AlertKind, Condition
from services.shared.events.plans import Budget, PlannedChange
from services.shared.money import NANO
from tests.unit.cost_alerts.domain.city import book, contract, tariff

TODAY = date(2026, 11, 19)
"""A Thursday without a holiday near."""

A_DAY = timedelta(days=1)


def unit(name: str, parent: str | None = "city", **members: object) -> facts.Unit:
    given = {"id": name, "parent": parent, "name": {"en": name.upper()}, "valid_from": date(2026, 1, 1)}
    return facts.Unit.model_validate({**given, **members})


def budget(name: str, where: str, **members: object) -> Budget:
    given = {"id": name, "unit": where, "period": 2026, "amount": "100.00", "currency": "EUR", "thresholds": ["1.0"]}
    return Budget.model_validate({**given, "recipients": [f"finance-{where}"], **members})


CITY: Sequence[Fact] = (
    unit("city", None),
    unit("kymp"),
    unit("kirjasto", "kymp"),
    facts.System(id="claude", vendor="anthropic", name="Claude", owner="ict"),
    budget("city-2026", "city"),
    budget("kymp-2026", "kymp"),
)


def view(*more: Fact) -> View:
    made = book([*CITY, *more])
    return made.view(made.newest)


def days_before(last: date, count: int, weekdays: str = "0123456") -> Sequence[date]:
    """The last `count` days up to `last`, inclusive, that are of these weekdays."""
    return [day for back in range(count) if str((day := last - back * A_DAY).weekday()) in weekdays]


def used(days: Sequence[date], system: str = "claude", where: str = "kymp", eur: int = 100) -> list[Use]:
    return [Use(where, system, day, eur * NANO, 5) for day in days]


def situation(today: date = TODAY, **members: object) -> Situation:
    return Situation(**{"today": today, "view": view(), **members})  # type: ignore[arg-type]


def of_kind(kind: AlertKind, seen: Situation) -> list[Found]:
    return [one for one in find(seen) if one.kind == kind]


def opened(found: Found, **members: object) -> Mapping[Topic, Condition]:
    """The alert that was told of it."""
    given = {
        name: getattr(found, name) for name in ("alert_id", "kind", "severity", "unit", "system", "about", "since")
    }
    return {found.topic: Condition.model_validate({**given, **members})}


class TestNoData:
    @pytest.mark.parametrize(
        ("last", "weekdays", "today", "missing"),
        [
            pytest.param(date(2026, 11, 18), "0123456", TODAY, 0, id="yesterday came"),
            pytest.param(date(2026, 11, 17), "0123456", TODAY, 1, id="yesterday is only late"),
            pytest.param(date(2026, 11, 16), "0123456", TODAY, 2, id="two days are missing"),
            pytest.param(date(2026, 11, 13), "01234", date(2026, 11, 16), 0, id="a weekend off is no silence"),
            pytest.param(
                date(2026, 11, 13), "01234", date(2026, 11, 18), 2, id="Monday and Tuesday after a weekend off"
            ),
            pytest.param(date(2026, 12, 23), "01234", date(2026, 12, 28), 0, id="Christmas is like a Sunday"),
            pytest.param(
                date(2026, 12, 23), "01234", date(2027, 1, 7), 0, id="until Epiphany offices stand half empty"
            ),
            pytest.param(date(2026, 12, 23), "01234", date(2027, 1, 9), 2, id="after Epiphany it should be back"),
            pytest.param(date(2026, 12, 4), "01234", date(2026, 12, 9), 2, id="Independence Day fell on a Sunday"),
            pytest.param(date(2026, 11, 11), "2", TODAY, 1, id="a system of Wednesdays misses one"),
            pytest.param(date(2026, 9, 16), "0123456", TODAY, 0, id="whoever stopped long ago has ended it"),
        ],
    )
    def test_days_that_are_missing(self, last: date, weekdays: str, today: date, missing: int) -> None:
        assert len(missing_days(days_before(last, 60, weekdays), today)) == missing

    def test_it_is_told_with_its_first_day(self) -> None:
        [found] = find(situation(used=used(days_before(date(2026, 11, 16), 60))))
        assert (found.kind, found.about, found.since, found.severity) == (
            "no_data", "claude", date(2026, 11, 17), "critical",
        )  # fmt: skip
        assert found.figures == {"days": 2}

    @pytest.mark.parametrize(
        "days",
        [
            pytest.param([], id="nothing ever came"),
            pytest.param([date(2026, 11, 1)], id="one day of history"),
            pytest.param(days_before(date(2026, 11, 16), 14), id="too few weeks to know a rhythm"),
        ],
    )
    def test_without_a_rhythm_nothing_is_missing(self, days: Sequence[date]) -> None:
        assert find(situation(used=used(days))) == []

    def test_days_of_noughts_are_no_use(self) -> None:
        nought = [one._replace(readings=0, eur_nano=0) for one in used(days_before(TODAY, 60))]
        assert find(situation(used=nought)) == []

    @pytest.mark.parametrize(
        ("arrivals", "told"),
        [
            pytest.param(Arrivals(), True, id="nobody knows how it comes in"),
            pytest.param(Arrivals([0] * 19 + [5]), True, id="one outage excuses no other"),
            pytest.param(Arrivals([2] * 20), False, id="it is always two days late"),
            pytest.param(Arrivals(still_coming=True), False, id="the past is being fetched"),
        ],
    )
    def test_what_is_usually_late_is_waited_for(self, arrivals: Arrivals, told: bool) -> None:
        seen = situation(used=used(days_before(date(2026, 11, 16), 60)), arrivals={"claude": arrivals})
        assert bool(find(seen)) == told

    @pytest.mark.parametrize(
        ("members", "silent"),
        [
            pytest.param({"valid_from": date(2026, 11, 17)}, False, id="it has ended as it was planned"),
            pytest.param({"valid_from": date(2026, 11, 19)}, True, id="it was to be used for two days more"),
            pytest.param({"valid_from": date(2026, 11, 17), "unit": "kymp"}, True, id="it has ended in one unit"),
            pytest.param({"valid_from": date(2026, 11, 17), "sku": "one"}, True, id="one of its products has ended"),
            pytest.param({"valid_from": date(2026, 11, 17), "system": "other"}, True, id="another one has ended"),
        ],
    )
    def test_the_end_of_a_system_by_plan_is_no_silence(self, members: Mapping[str, object], silent: bool) -> None:
        given = {"id": "end", "kind": "ending", "system": "claude", "source": "a decision", **members}
        seen = situation(used=used(days_before(date(2026, 11, 16), 60)), view=view(PlannedChange.model_validate(given)))
        assert bool(find(seen)) == silent
        assert find(replace(seen, today=date(2026, 12, 20))) == [], "it is forgotten like any other"

    def test_a_source_that_completes_no_window(self) -> None:
        completed = [Completed("anthropic", "anthropic/usage", day) for day in days_before(date(2026, 11, 17), 20)]
        [found] = find(situation(completed=completed, running=days_before(TODAY, 30)[::-1]))
        assert (found.about, found.since, found.severity) == ("source anthropic", date(2026, 11, 18), "critical")

    def test_our_own_absence_excuses_a_source(self) -> None:
        completed = [Completed("anthropic", "anthropic/usage", day) for day in days_before(date(2026, 11, 15), 20)]
        assert find(situation(completed=completed, running=[*days_before(date(2026, 11, 15), 20), TODAY])) == []

    def test_a_weekly_source_has_a_week(self) -> None:
        mondays = [date(2026, 11, 9) - week * 7 * A_DAY for week in range(5)]
        completed = [Completed("portal", "portal", day) for day in mondays]
        running = sorted(days_before(TODAY, 40))
        assert find(situation(date(2026, 11, 16), completed=completed, running=running)) == []
        assert len(find(situation(date(2026, 11, 18), completed=completed, running=running))) == 1

    def test_a_silent_source_speaks_for_its_systems(self) -> None:
        completed = [Completed("anthropic", "anthropic/usage", day) for day in days_before(date(2026, 11, 16), 20)]
        seen = situation(
            used=used(days_before(date(2026, 11, 16), 60)),
            arrivals={"claude": Arrivals(sources=frozenset({"anthropic/usage"}))},
            completed=completed,
            running=sorted(days_before(TODAY, 40)),
        )
        [told] = changes(seen, ()).raised
        assert (told.about, told.recipients) == ("source anthropic", ("ict",))

    @given(st.lists(st.integers(0, 60), max_size=40))
    def test_a_usual_delay_is_one_that_was_seen(self, delays: Sequence[int]) -> None:
        assert usual_delay(delays) in {0, *delays}
        assert sum(one <= usual_delay(delays) for one in delays) * 10 >= len(delays) * 9


class TestPrices:
    def test_a_model_without_a_tariff_is_told_once_for_all_its_days(self) -> None:
        unpriced = [Unpriced("claude", "opus", TODAY - back * A_DAY, 3) for back in range(10)]
        [found] = find(situation(unpriced=unpriced))
        assert (found.kind, found.about, found.since) == ("price_missing", "claude opus", TODAY - 9 * A_DAY)
        assert found.figures == {"readings": 30}

    def test_old_use_without_a_price_is_history(self) -> None:
        assert find(situation(unpriced=[Unpriced("claude", "opus", TODAY - 8 * A_DAY, 3)])) == []

    @pytest.mark.parametrize(
        ("starts", "eur", "is_open", "told"),
        [
            pytest.param(date(2027, 1, 1), 25, False, True, id="next quarter"),
            pytest.param(date(2027, 3, 1), 25, False, False, id="further off than a quarter"),
            pytest.param(TODAY, 25, False, False, id="it is here: the ledger has it"),
            pytest.param(date(2027, 1, 1), 15, False, False, id="too little to tell"),
            pytest.param(date(2027, 1, 1), 15, True, True, id="and too much to take back"),
            pytest.param(date(2027, 1, 1), 9, True, False, id="little enough to take back"),
            pytest.param(date(2027, 1, 1), -50, False, False, id="it becomes cheaper"),
        ],
    )
    def test_a_rise_that_is_announced(self, starts: date, eur: int, is_open: bool, told: bool) -> None:
        before = opened(Found("price_rising", "warning", "claude", TODAY)) if is_open else {}
        found = of_kind("price_rising", situation(rises=[Rise("claude", starts, eur * NANO)], open=before))
        assert bool(found) == told
        assert all(one.until == starts and one.figures["monthly_eur"] == eur for one in found)

    @pytest.mark.parametrize(
        ("more", "severity"),
        [
            pytest.param([tariff(valid_to=date(2026, 12, 31))], "warning", id="it ends with none to follow"),
            pytest.param([tariff(valid_to=date(2026, 12, 1))], "critical", id="it ends in twelve days"),
            pytest.param([tariff()], None, id="it does not end"),
            pytest.param([tariff(valid_to=date(2027, 3, 1))], None, id="it ends later than told"),
            pytest.param(
                [tariff(valid_to=date(2026, 12, 31)), tariff("4.00", id="u", valid_from=date(2026, 12, 31))],
                None, id="another follows",
            ),
            pytest.param(
                [tariff(valid_to=date(2026, 12, 31)), tariff("4.00", id="u", sku="*")], None, id="one for all goes on",
            ),
            pytest.param(
                [tariff(valid_to=date(2026, 12, 31)), tariff("4.00", id="u", valid_from=date(2027, 1, 2))],
                "warning", id="a day lies between",
            ),
            pytest.param(
                [
                    tariff(valid_to=date(2026, 12, 31), when={"tier": "batch"}),
                    tariff("4.00", id="u", when={"tier": "standard"}),
                ],
                "warning", id="the other price is for other use",
            ),
        ],
    )  # fmt: skip
    def test_a_price_in_use_that_ends(self, more: Sequence[Fact], severity: str | None) -> None:
        priced = [Priced("claude", "sonnet", "input_tokens", 3 * NANO)]
        found = of_kind("tariff_expiring", situation(view=view(*more), priced=priced))
        assert [one.severity for one in found] == ([] if severity is None else [severity])
        assert find(situation(view=view(*more))) == [], "nobody uses it"

    def test_a_price_of_seats_that_ends(self) -> None:
        seats = tariff(sku="M365", meter="seats", model="per_seat_month", per="1", valid_to=date(2026, 12, 31))
        priced = [Priced("claude", "M365", "seats", NANO)]
        [found] = find(situation(view=view(seats), priced=priced))
        assert (found.about, found.until) == ("claude M365", date(2026, 12, 30))
        followed = tariff("40", id="u", sku="M365", meter="seats", model="per_seat_month", per="1",
                          valid_from=date(2026, 12, 31))  # fmt: skip
        assert find(situation(view=view(seats, followed), priced=priced)) == []


class TestEndings:
    @pytest.mark.parametrize(
        ("members", "until", "severity"),
        [
            pytest.param({"valid_to": date(2027, 3, 1)}, None, None, id="it ends in over ninety days"),
            pytest.param({"valid_to": date(2027, 2, 1)}, date(2027, 1, 31), "warning", id="it ends in ninety days"),
            pytest.param({"valid_to": date(2026, 12, 1)}, date(2026, 11, 30), "critical", id="it ends in a fortnight"),
            pytest.param({}, None, None, id="it never ends"),
            pytest.param(
                {"valid_to": date(2027, 6, 1), "notice_days": 180}, date(2026, 12, 2), "critical",
                id="notice must be given in a fortnight",
            ),
            pytest.param(
                {"valid_to": date(2027, 2, 1), "notice_days": 90}, date(2027, 1, 31), "warning",
                id="the day for notice has passed: its end remains",
            ),
            pytest.param(
                {"valid_to": date(2027, 2, 1), "notice_days": 90, "renews": True}, None, None,
                id="the day for notice has passed and it goes on",
            ),
            pytest.param(
                {"valid_to": date(2027, 2, 1), "notice_days": 60, "renews": True}, date(2026, 12, 2), "warning",
                id="it goes on unless notice is given",
            ),
        ],
    )  # fmt: skip
    def test_a_contract(self, members: Mapping[str, object], until: date | None, severity: str | None) -> None:
        given = contract(time_zone="Europe/Helsinki", **members)
        found = of_kind("contract_ending", situation(view=view(given)))
        assert [(one.until, one.severity) for one in found] == ([] if until is None else [(until, severity)])

    def test_a_contract_that_another_follows_does_not_end(self) -> None:
        ending, next_one = contract(valid_to=date(2026, 12, 31)), contract(id="c2", valid_from=date(2026, 12, 31))
        assert find(situation(view=view(ending, next_one))) == []

    def test_the_end_comes_nearer_and_is_told_as_urgent(self) -> None:
        seen = situation(date(2026, 11, 1), view=view(contract(valid_to=date(2026, 12, 31))))
        [first] = changes(seen, ()).raised
        later = replace(seen, today=date(2026, 12, 10), open={("contract_ending", "c"): first})
        found = changes(later, {first.alert_id})
        assert [one.severity for one in found.raised] == ["critical"]
        assert [one.alert_id for one in found.resolved] == [first.alert_id] == list(found.replaced)

    @pytest.mark.parametrize(
        ("left", "early", "middle", "is_open", "severity"),
        [
            pytest.param("500", None, None, False, None, id="it lasts"),
            pytest.param("500", date(2026, 11, 25), None, False, None, id="it may not last, but should"),
            pytest.param("500", date(2026, 11, 25), None, True, "warning", id="told, and not yet sure to last"),
            pytest.param("500", date(2026, 11, 27), date(2026, 11, 28), False, "warning", id="it will be dry"),
            pytest.param("500", date(2026, 11, 20), date(2026, 11, 22), False, "critical", id="it will be dry soon"),
            pytest.param("0", None, None, False, "critical", id="it is dry"),
            pytest.param("500", None, None, True, None, id="sure to last again"),
        ],
    )
    def test_a_pool(
        self, left: str, early: date | None, middle: date | None, is_open: bool, severity: str | None
    ) -> None:
        first, last = date(2026, 11, 1), date(2026, 11, 30)
        pool = Drying(
            "pool:c/p", "claude", "credits", Decimal(1000), Decimal(left), first, last, early, middle, None, None
        )
        before = opened(Found("pool_running_dry", "warning", pool.key, first)) if is_open else {}
        found = of_kind("pool_running_dry", situation(drying=[pool], open=before))
        assert [one.severity for one in found] == ([] if severity is None else [severity])
        assert of_kind("pool_running_dry", situation(date(2026, 12, 1), drying=[pool], open=before)) == [], "refilled"

    def test_a_pool_of_long_names_fits_an_event(self) -> None:
        key, first, last = f"pool:{'c' * 128}/{'p' * 128}", date(2026, 11, 1), date(2026, 11, 30)
        pool = Drying(key, "claude", "credits", Decimal(9), Decimal(5), first, last, last, last, last, None)
        seen = situation(drying=[pool])
        [told] = changes(seen, ()).raised
        early = replace(seen, drying=[pool._replace(dry_middle=None)], open={(told.kind, told.about): told})
        assert changes(early, {told.alert_id}) == Changes((), ())

    def test_a_share_of_a_unit_fits_an_event(self) -> None:
        first, last = date(2026, 11, 1), date(2026, 11, 30)
        left = Decimal(1) / Decimal(3) * -1
        pool = Drying("p", "claude", "credits", Decimal(2000) / Decimal(3), left, first, last, None, None, None, 7)
        [told] = changes(situation(drying=[pool]), ()).raised
        assert told.figures["size"] == Decimal("666.666666667")
        assert Condition.model_validate_json(told.model_dump_json()) == told


class TestAnomalies:
    def test_a_day_beyond_all_wednesdays(self) -> None:
        yesterday = TODAY - A_DAY
        uses = [*used(days_before(yesterday - A_DAY, 90)), Use("kymp", "claude", yesterday, 300 * NANO, 5)]
        [found] = find(situation(used=uses))
        assert (found.kind, found.about, found.since, found.unit) == ("anomaly", "kymp claude", yesterday, "kymp")
        assert found.figures == {"day_eur": 300, "usual_eur": 100}

    @pytest.mark.parametrize(
        ("eur", "day", "history", "told"),
        [
            pytest.param(300, TODAY - A_DAY, 90, True, id="three times as much"),
            pytest.param(149, TODAY - A_DAY, 90, False, id="less than half more"),
            pytest.param(0, TODAY - A_DAY, 90, False, id="nothing: silence has its own alarm"),
            pytest.param(300, TODAY, 90, False, id="today is not over"),
            pytest.param(300, TODAY - 6 * A_DAY, 90, False, id="too old to tell, and usual since"),
            pytest.param(300, TODAY - A_DAY, 50, False, id="seven weeks of history are too few"),
            pytest.param(300, TODAY - A_DAY, 1, False, id="one day of history"),
        ],
    )
    def test_when_a_day_stands_out(self, eur: int, day: date, history: int, told: bool) -> None:
        usual = [one for one in used(days_before(TODAY - A_DAY, history)) if one.day != day]
        found = of_kind("anomaly", situation(used=[*usual, Use("kymp", "claude", day, eur * NANO, 5)]))
        assert bool(found) == told

    @pytest.mark.parametrize("usual", [0, 1])
    def test_little_money_is_nobodys_hour(self, usual: int) -> None:
        uses = used(days_before(TODAY - 2 * A_DAY, 90), eur=usual)
        assert of_kind("anomaly", situation(used=[*uses, Use("kymp", "claude", TODAY - A_DAY, 25 * NANO, 5)])) == []

    def test_weekdays_are_held_against_their_own_kind(self) -> None:
        days = days_before(TODAY - A_DAY, 90)
        uses = [Use("kymp", "claude", day, (1000 if day.weekday() == 2 else 10) * NANO, 5) for day in days]
        assert of_kind("anomaly", situation(used=uses)) == []

    def test_a_holiday_is_neither_judged_nor_held_against_others(self) -> None:
        days = days_before(date(2027, 1, 5), 90)
        uses = [Use("kymp", "claude", day, (5 if is_holiday(day) else 100) * NANO, 5) for day in days]
        uses.append(Use("kymp", "claude", date(2027, 1, 6), 5000 * NANO, 5))
        assert of_kind("anomaly", situation(date(2027, 1, 7), used=uses)) == []

    def test_a_run_of_days_is_one_alert_and_is_over_with_a_usual_day(self) -> None:
        uses = used(days_before(date(2026, 11, 14), 90))
        told: dict[Topic, Condition] = {}
        raised: list[Condition] = []
        resolved: list[Condition] = []
        for day, eur in ((15, 900), (16, 900), (17, 170), (18, 100), (19, 100)):
            uses.append(Use("kymp", "claude", date(2026, 11, day), eur * NANO, 5))
            seen = situation(date(2026, 11, day) + A_DAY, used=uses, open=told)
            found = changes(seen, {one.alert_id for one in raised})
            raised += found.raised
            resolved += found.resolved
            told = {(one.kind, one.about): one for one in raised if one not in resolved}
        assert [one.since for one in raised] == [date(2026, 11, 15)]
        assert resolved == raised

    def test_many_units_of_one_system_are_one_message(self) -> None:
        units = [f"u{number}" for number in range(5)]
        uses = [one for name in units for one in used(days_before(TODAY - 2 * A_DAY, 90), where=name)]
        uses += [Use(name, "claude", TODAY - A_DAY, 500 * NANO, 5) for name in units]
        [found] = of_kind("anomaly", situation(used=uses))
        assert (found.about, found.unit, found.figures["units"]) == ("claude", None, Decimal(5))
        fewer = situation(used=[one for one in uses if one.unit in units[:2]], open=opened(found))
        assert [one.about for one in of_kind("anomaly", fewer)] == ["claude"], "its parts are not told beside it"

    def test_nobody_judges_while_the_past_is_priced_again(self) -> None:
        uses = [*used(days_before(TODAY - 2 * A_DAY, 90)), Use("kymp", "claude", TODAY - A_DAY, 900 * NANO, 5)]
        seen = situation(used=uses)
        [told] = changes(seen, ()).raised
        calm = situation(
            used=used(days_before(TODAY - A_DAY, 90)), restating=True, open={("anomaly", told.about): told}
        )
        assert changes(calm, {told.alert_id}) == Changes((), ())

    def test_a_year_of_ordinary_scatter_is_calm_and_three_times_as_much_is_seen(self) -> None:
        """Ten series that scatter by a fifth around their weekdays; in each, one day costs three times as much.

        By deviations alone they would ring some times a year each.
        """
        draw, calm, seen = Random(20261119), 0, 0
        first = date(2025, 9, 1)
        for _ in range(10):
            days = {
                day: int(NANO * (80 if day.weekday() < 5 else 12) * draw.lognormvariate(0, 0.2))
                for day in (first + number * A_DAY for number in range(440))
            }
            judged = sorted(days)[84:]
            calm += sum(is_unusual(days, day, RAISED_AT) for day in judged)
            odd = draw.choice([day for day in judged if day.weekday() < 5 and not is_holiday(day)])
            seen += is_unusual({**days, odd: days[odd] * 3}, odd, RAISED_AT)
        assert (calm <= 1, seen >= 9) == (True, True), f"{calm} false alarms in ten years, {seen} of 10 seen"

    def test_where_use_is_rare_only_twice_the_highest_stands_out(self) -> None:
        rare = [Use("kymp", "claude", TODAY - back * A_DAY, 40 * NANO, 1) for back in range(5, 95, 9)]
        for eur, told in ((79, False), (81, True)):
            found = of_kind("anomaly", situation(used=[*rare, Use("kymp", "claude", TODAY - A_DAY, eur * NANO, 1)]))
            assert bool(found) == told

    @given(st.lists(st.integers(0, 10**15), min_size=1, max_size=30))
    def test_a_median_has_half_on_either_side(self, numbers: Sequence[int]) -> None:
        found = median(numbers)
        assert sum(one < found for one in numbers) * 2 <= len(numbers)
        assert sum(one > found for one in numbers) * 2 <= len(numbers)

    @given(st.lists(st.integers(0, 1000), min_size=91, max_size=91), st.integers(2, 1000))
    def test_a_larger_currency_changes_no_verdict(self, costs: Sequence[int], factor: int) -> None:
        days = dict(zip(sorted(days_before(TODAY, 91)), costs, strict=True))
        small, large = usual_cost(days, TODAY), usual_cost({day: cost * factor for day, cost in days.items()}, TODAY)
        assert small is not None
        assert large is not None
        assert abs(large[0] - small[0] * factor) <= factor


class TestChanges:
    SILENT = situation(used=used(days_before(date(2026, 11, 16), 60)))

    def test_told_once_while_it_lasts(self) -> None:
        [told] = changes(self.SILENT, ()).raised
        again = replace(self.SILENT, today=TODAY + A_DAY, open={("no_data", "claude"): told})
        assert changes(again, {told.alert_id}) == Changes((), ())

    def test_what_comes_back_is_new_and_at_most_once_a_day(self) -> None:
        [told] = changes(self.SILENT, ()).raised
        [second] = changes(self.SILENT, {told.alert_id}).raised
        assert (second.since, second.alert_id != told.alert_id) == (TODAY, True)
        assert changes(self.SILENT, {told.alert_id, second.alert_id}).raised == ()

    def test_a_silence_that_became_old_has_lapsed_and_one_that_was_broken_has_not(self) -> None:
        [told] = changes(self.SILENT, ()).raised
        later = replace(self.SILENT, today=TODAY + 30 * A_DAY, open={("no_data", "claude"): told})
        found = changes(later, {told.alert_id})
        assert (found.resolved, found.lapsed) == ((told,), frozenset({told.alert_id}))
        broken = replace(later, used=[*later.used, Use("kymp", "claude", TODAY + 29 * A_DAY, NANO, 1)])
        calmed = changes(broken, {told.alert_id})
        assert (calmed.resolved, calmed.lapsed) == ((told,), frozenset())

    def test_a_contract_that_ended_has_lapsed_and_one_that_is_followed_has_not(self) -> None:
        ending = contract(valid_to=date(2026, 12, 1))
        [told] = changes(situation(view=view(ending)), ()).raised
        before = {(told.kind, told.about): told}
        ended = changes(situation(date(2026, 12, 2), view=view(ending), open=before), {told.alert_id})
        assert (ended.resolved, ended.lapsed) == ((told,), frozenset({told.alert_id}))
        next_one = contract(id="c2", valid_from=date(2026, 12, 1))
        followed = changes(situation(view=view(ending, next_one), open=before), {told.alert_id})
        assert (followed.resolved, followed.lapsed) == ((told,), frozenset())

    @pytest.mark.parametrize("kind", ["price_rising", "pool_running_dry"])
    def test_what_nobody_can_say_stays_as_it_is(self, kind: AlertKind) -> None:
        before = opened(Found(kind, "warning", "claude", TODAY))
        assert changes(situation(open=before, rises=None, drying=None), ()) == Changes((), ())
        assert len(changes(situation(open=before), ()).resolved) == 1

    @pytest.mark.parametrize(
        ("where", "system", "roles"),
        [
            pytest.param("kymp", "claude", ("ict", "finance-kymp"), id="owner, and the unit's own budget"),
            pytest.param("kirjasto", "claude", ("ict", "finance-kymp"), id="the nearest above"),
            pytest.param("unallocated", "claude", ("ict",), id="nobody's"),
            pytest.param("<script>", "claude", ("ict",), id="a unit that nobody defined"),
            pytest.param("kymp", "unheard-of", ("finance-kymp",), id="a system that the register does not name"),
        ],
    )
    def test_who_is_told(self, where: str, system: str, roles: Sequence[str]) -> None:
        uses = [
            *used(days_before(TODAY - 2 * A_DAY, 90), system, where),
            Use(where, system, TODAY - A_DAY, 900 * NANO, 5),
        ]
        [told] = changes(situation(used=uses), ()).raised
        assert told.recipients == tuple(roles)

    def test_a_budget_for_something_else_watches_nothing_here(self) -> None:
        narrow = budget("kirjasto-copilot", "kirjasto", system="copilot", recipients=["other"])
        uses = [*used(days_before(TODAY - 2 * A_DAY, 90), where="kirjasto"),
                Use("kirjasto", "claude", TODAY - A_DAY, 900 * NANO, 5)]  # fmt: skip
        [told] = changes(situation(used=uses, view=view(narrow)), ()).raised
        assert told.recipients == ("ict", "finance-kymp")

    def test_a_system_nobody_owns_is_the_citys(self) -> None:
        [told] = changes(situation(unpriced=[Unpriced("unheard-of", "x", TODAY, 1)]), ()).raised
        assert told.recipients == ("finance-city",)
        [nobody] = changes(situation(view=book([]).view(0), unpriced=[Unpriced("a", "x", TODAY, 1)]), ()).raised
        assert nobody.recipients == ()

    @given(st.lists(st.sampled_from([0, 90, 100, 110, 600]), min_size=5, max_size=25))
    def test_whatever_days_come_an_alert_is_raised_once_and_over_once(self, days: Sequence[int]) -> None:
        """Day by day: what is over was open, what is raised was not, and nothing is told under one id twice."""
        uses, told, open_now = used(days_before(date(2026, 10, 1), 90)), set[str](), dict[Topic, Condition]()
        for number, eur in enumerate(days, start=1):
            day = date(2026, 10, 1) + number * A_DAY
            uses.append(Use("kymp", "claude", day, eur * NANO, 1 if eur else 0))
            found = changes(situation(day + A_DAY, used=uses, open=open_now), told)
            assert all(open_now.get((one.kind, one.about)) == one for one in found.resolved)
            assert not {one.alert_id for one in found.raised} & told
            told |= {one.alert_id for one in found.raised}
            for one in found.resolved:
                del open_now[one.kind, one.about]
            for one in found.raised:
                assert (one.kind, one.about) not in open_now
                open_now[one.kind, one.about] = one


def test_a_rhythm_needs_four_of_a_weekday() -> None:
    assert usual_weekdays(days_before(TODAY, 20), TODAY, 6) == frozenset()
    assert usual_weekdays(days_before(TODAY, 35, "135"), TODAY, 6) == frozenset({1, 3, 5})
