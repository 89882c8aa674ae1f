"""The page of what is to come: forecasts, budgets, risks, alerts, benefits; with what its pictures need. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Literal

from services.cost_alerts.adapters.alerts import AlertState
from services.cost_alerts.adapters.value import Value
from services.cost_alerts.domain.budgets.state import BudgetState, Condition
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.foresight.issued import ForecastTest, TestedDay
from services.cost_alerts.domain.risks.risk import Risk
from services.cost_alerts.domain.value import LicenceValue, UseValue
from services.shared.events.plans import Budget, PlannedChange
from services.shared.events.register import UseCase
from services.shared.money import from_nano
from services.shared.periods import Month
from services.shared.web.words import Words

WIDTH, HEIGHT = 600, 180
"""Of the month's picture, in its own units; the page stretches it."""

Look = Literal["is-well", "is-near", "is-over"]
_LOOKS: Mapping[Condition, Look] = {"within": "is-well", "at_risk": "is-near", "passed": "is-near", "over": "is-over"}
_WORST_FIRST: Mapping[str, int] = {"over": 0, "near": 1, "unknown": 2, "fine": 3}
_LONGEST_MONTH = 31
_HEADROOM = Decimal("1.08")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """An estimate in euro with the limits that four of five such stretches should end between."""

    low: Decimal
    mid: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Fan:
    """The month's cost so far as a line from the left, and where it may end as a fan to the right.

    `done_x`: where the last complete day ends, in per cent of the width.
    """

    line: str
    fan: str
    middle: str
    done_x: int


@dataclass(frozen=True, slots=True)
class UnitForecast:
    """A unit's month and year; None: too little is known to say.

    `fixed`: what contracts still demand of the month; bars in per cent of the longest month beside it.
    """

    unit: str
    depth: int
    so_far: Decimal
    fixed: Decimal
    month: Limits | None
    year: Limits | None
    so_far_bar: int
    low_bar: int
    high_bar: int


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget and where it is going. Bars in per cent of whatever is longest: commitments, amount, or high limit."""

    state: BudgetState
    forecast: Limits | None
    used_bar: int
    committed_bar: int
    amount_bar: int
    middle_bar: int | None

    @property
    def budget(self) -> Budget:
        return self.state.budget

    @property
    def narrowed(self) -> Sequence[str]:
        """What it is narrowed to, besides its unit."""
        budget = self.state.budget
        return [one for one in (budget.system, budget.vendor, budget.project, budget.programme) if one is not None]

    @property
    def used(self) -> Decimal:
        return from_nano(self.state.used_nano)

    @property
    def committed(self) -> Decimal | None:
        return None if self.state.committed_nano is None else from_nano(self.state.committed_nano)

    @property
    def planned_to_date(self) -> Decimal:
        return from_nano(self.state.planned_to_date_nano)

    @property
    def look(self) -> Look:
        return _LOOKS[self.state.condition]

    @property
    def ratio(self) -> Decimal | None:
        return self.state.used_ratio


@dataclass(frozen=True, slots=True)
class RiskLine:
    """A risk with its figure and limit; `money` None: it is not about an amount."""

    risk: Risk

    @property
    def look(self) -> str:
        return {"over": "is-over", "near": "is-near"}.get(self.risk.state, "is-well")

    @property
    def money(self) -> Decimal | None:
        return None if self.risk.eur_nano is None else from_nano(self.risk.eur_nano)

    def figure(self, words: Words) -> str:
        return words("risk_unknown") if self.risk.figure is None else _measured(self.risk, self.risk.figure, words)

    def limit(self, words: Words) -> str:
        return _measured(self.risk, self.risk.limit.over, words)


@dataclass(frozen=True, slots=True)
class UseLine:
    """A use of AI with what it cost and brought over the months shown; None: nobody told."""

    use_case: UseCase
    cost: Decimal
    result: Decimal | None
    each: Decimal | None


@dataclass(frozen=True, slots=True)
class LicenceLine:
    """A paid system beside the base one; `each`: for every person who used it."""

    value: LicenceValue

    @property
    def cost(self) -> Decimal:
        return from_nano(self.value.eur_nano)

    @property
    def each(self) -> Decimal | None:
        return None if self.value.per_active_nano is None else from_nano(self.value.per_active_nano)


@dataclass(frozen=True, slots=True)
class ValueShown:
    """What the money brings."""

    uses: Sequence[UseLine] = ()
    licences: Sequence[LicenceLine] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger answered, at one moment or nearly so; `days`: 10⁻⁹ euro of the present month's days."""

    today: date
    tree: Sequence[tuple[str, int]]
    days: Mapping[date, int]
    forecasts: Sequence[Forecast]
    budgets: Sequence[BudgetState]
    plans: Sequence[PlannedChange]
    risks: Sequence[Risk]
    alerts: Sequence[AlertState]
    tests: Sequence[ForecastTest]
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Foresight:
    """Everything the page shows, in its order."""

    month: Month
    today: date
    made_on: date | None
    city_month: Limits | None
    city_year: Limits | None
    fan: Fan | None
    units: Sequence[UnitForecast]
    budgets: Sequence[BudgetLine]
    plans: Sequence[PlannedChange]
    risks: Sequence[RiskLine]
    alerts: Sequence[AlertState]
    tests: Sequence[TestedDay]
    value: ValueShown

    @property
    def last_day(self) -> date:
        return self.month.next.first_day - _ONE_DAY

    @property
    def at_risk(self) -> int:
        return sum(one.state.condition in ("at_risk", "over") for one in self.budgets)

    @property
    def unacknowledged(self) -> int:
        return sum(one.acknowledged is None for one in self.alerts)


def foresight(found: Found) -> Foresight:
    """Put together what the ledger answered."""
    month = Month.of(found.today)
    of_month: Mapping[tuple[str, str], Forecast] = {
        (one.level, one.name): one for one in found.forecasts if (one.first, one.last) == _ends(month)
    }
    of_year: Mapping[tuple[str, str], Forecast] = {
        (one.level, one.name): one for one in found.forecasts if (one.last - one.first).days > _LONGEST_MONTH
    }
    city = of_month.get(("city", ""))
    return Foresight(
        month,
        found.today,
        max((one.made_on for one in found.forecasts), default=None),
        limits(city),
        limits(of_year.get(("city", ""))),
        month_fan(month, found.days, city),
        unit_forecasts(found.tree, _units(of_month), _units(of_year)),
        budget_lines(found.budgets, found.today.year),
        sorted(found.plans, key=lambda one: (one.valid_from, one.id)),
        [RiskLine(one) for one in sorted(found.risks, key=lambda one: _WORST_FIRST[one.state])],
        found.alerts,
        next((one.tested for one in found.tests if one.level == "city"), ()),
        ValueShown() if found.value is None else _value(found.value),
    )


def _value(found: Value) -> ValueShown:
    return ValueShown([_use_line(one) for one in found.uses], [LicenceLine(one) for one in found.licences])


def _use_line(one: UseValue) -> UseLine:
    results = [month.result for month in one.months if month.result is not None]
    each = None if one.per_result_nano is None else from_nano(one.per_result_nano)
    return UseLine(one.use_case, from_nano(one.eur_nano), sum(results, Decimal()) if results else None, each)


def _ends(month: Month) -> tuple[date, date]:
    return month.first_day, month.next.first_day - _ONE_DAY


def _units(forecasts: Mapping[tuple[str, str], Forecast]) -> Mapping[str, Forecast]:
    return {name: one for (level, name), one in forecasts.items() if level == "unit"}


def _measured(risk: Risk, figure: Fraction, words: Words) -> str:
    """A figure as its risk counts: days, a share, or an index with two decimals."""
    if risk.limit.measure == "days":
        return words("risk_days", count=words.number(round(figure)))
    value = Decimal(figure.numerator) / Decimal(figure.denominator)
    return words.share(value) if risk.limit.measure == "ratio" else words.quantity(round(value, 2))


def limits(forecast: Forecast | None) -> Limits | None:
    """What a forecast says of its whole stretch, in euro."""
    total = None if forecast is None else forecast.total
    return None if total is None else Limits(*(from_nano(part) for part in total))


def month_fan(month: Month, days: Mapping[date, int], forecast: Forecast | None) -> Fan | None:
    """The picture of a month; `days`: 10⁻⁹ euro of its days. None while nothing can be said of its end."""
    found = limits(forecast)
    if forecast is None or found is None:
        return None
    done = max(0, min((forecast.made_on - month.first_day).days, month.days))
    before = [from_nano(days.get(month.first_day + number * _ONE_DAY, 0)) for number in range(done)]
    line = [Decimal(0), *accumulate(before)]
    most = max(found.high, *line, Decimal(1)) * _HEADROOM
    points = [(number * WIDTH // month.days, _up(value, most)) for number, value in enumerate(line)]
    at = points[-1]
    ends = [(WIDTH, _up(value, most)) for value in (found.low, found.mid, found.high)]
    return Fan(_text(points), _text([at, ends[2], ends[0]]), _text([at, ends[1]]), done * 100 // month.days)


def unit_forecasts(
    tree: Sequence[tuple[str, int]], months: Mapping[str, Forecast], years: Mapping[str, Forecast]
) -> Sequence[UnitForecast]:
    """One line per unit of the tree, (id, depth) from its root down; units without a forecast are left out."""
    known = [(unit, depth, months[unit]) for unit, depth in tree if unit in months]
    highest = max((_reach(forecast) for _, _, forecast in known), default=Decimal(0)) or Decimal(1)
    return [_unit_forecast(unit, depth, one, years.get(unit), highest) for unit, depth, one in known]


def _reach(forecast: Forecast) -> Decimal:
    found = limits(forecast)
    return from_nano(forecast.actual_nano) if found is None else found.high


def _unit_forecast(unit: str, depth: int, month: Forecast, year: Forecast | None, highest: Decimal) -> UnitForecast:
    found, so_far = limits(month), from_nano(month.actual_nano)
    ends = (so_far, so_far) if found is None else (found.low, found.high)
    return UnitForecast(
        unit,
        depth,
        so_far,
        from_nano(month.fixed_nano + month.renewed_nano),
        found,
        limits(year),
        _share(so_far, highest),
        *(_share(end, highest) for end in ends),
    )


def budget_lines(states: Sequence[BudgetState], year: int) -> Sequence[BudgetLine]:
    """The budgets of a year, by unit and id."""
    wanted = sorted((one for one in states if one.budget.period == year), key=lambda one: one.budget.id)
    return [_budget_line(one) for one in wanted]


def _budget_line(state: BudgetState) -> BudgetLine:
    used, amount = from_nano(state.used_nano), max(state.amount, Decimal(0))
    committed = used + from_nano(state.committed_nano or 0)
    forecast = None if state.forecast is None else Limits(*(from_nano(part) for part in state.forecast))
    longest = max(committed, amount, forecast.high if forecast else Decimal(0), Decimal(1))
    middle = None if forecast is None else _share(forecast.mid, longest)
    used_bar, committed_bar, amount_bar = (_share(one, longest) for one in (used, committed, amount))
    return BudgetLine(state, forecast, used_bar, committed_bar, amount_bar, middle)


def _share(part: Decimal, whole: Decimal) -> int:
    return max(0, min(100, int(part * 100 / whole)))


def _up(amount: Decimal, most: Decimal) -> int:
    return HEIGHT - max(0, int(amount * HEIGHT / most))


def _text(points: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
