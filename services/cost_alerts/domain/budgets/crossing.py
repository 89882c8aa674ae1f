"""Which thresholds of a budget have just been passed, and when their count begins anew. Each is told once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

from services.cost_alerts.domain.budgets.amount import in_force
from services.cost_alerts.domain.foresight.forecast import Range
from services.shared.events.envelope import event_id
from services.shared.events.outcomes import Crossing, Receding
from services.shared.events.plans import Budget
from services.shared.money import EXACT, as_text, from_nano

Measure = Literal["used", "forecast"]
MEASURES: Sequence[Measure] = ("used", "forecast")


class Known(NamedTuple):
    """A crossing that was decided before. `amount`: the budget as it was told then, euro."""

    budget: str
    period: int
    threshold: Decimal
    epoch: int
    measure: Measure
    amount: Decimal


class Receded(NamedTuple):
    """An epoch that a correction ended."""

    budget: str
    period: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget as it stands in one look.

    Attributes:
        day: the Helsinki day that has begun last.
        amount: with amendments in force and what was carried over; euro.
        used_nano: 10⁻⁹ euro that count towards it.
        forecast: of its whole year; None: nobody can say.
        committed_nano: what contracts still demand this year; None: nobody has reckoned it yet.
    """

    budget: Budget
    day: date
    epoch: int
    amount: Decimal
    used_nano: int
    forecast: Range | None = None
    committed_nano: int | None = None

    def value_nano(self, measure: Measure) -> int | None:
        """What is held against the thresholds: use, or the middle of the forecast; None: nobody can say.

        The middle, because it is as often above as below what the year will cost. By the upper limit half of all
        budgets would ring in January, by the lower one nobody could act any more.
        """
        if measure == "used":
            return self.used_nano
        return None if self.forecast is None else self.forecast.mid

    def thresholds(self, measure: Measure) -> Sequence[Decimal]:
        return self.budget.thresholds if measure == "used" else self.budget.forecast_thresholds


def epoch_of(budget: Budget, day: date, receded: Collection[Receded]) -> int:
    """The count of crossings that holds on `day`: begun anew by each amendment in force and by each correction.

    A count that a correction has ended never holds again, even where an amendment is withdrawn later.
    """
    ended = _ended(budget, receded)
    epoch = budget.epoch + len(in_force(budget, day)) + len(ended)
    while epoch in ended:
        epoch += 1
    return epoch


def is_passed(amount: Decimal, threshold: Decimal, nano: int) -> bool:
    """Whether 10⁻⁹ euro reach the threshold's share of an amount. Nought passes nothing, nor does a budget of none."""
    return nano > 0 and amount > 0 and from_nano(nano) >= EXACT.multiply(amount, threshold)


def crossings(standing: Standing, known: Collection[Known], receded: Collection[Receded]) -> Sequence[Crossing]:
    """The thresholds passed and not yet told in this epoch, by measure, lowest first.

    Of each measure only the most advanced one speaks, and only when none above it was told before; a forecast does
    not tell what use has passed by itself.
    """
    told = _told(standing, known)
    cause = _cause(standing, receded) if not told else ("use", None)
    return [
        _crossing(standing, measure, threshold, cause, speaks=speaks)
        for measure in MEASURES
        for threshold, speaks in _passed(standing, measure, {one.threshold for one in told if one.measure == measure})
    ]


def _passed(standing: Standing, measure: Measure, told: Collection[Decimal]) -> list[tuple[Decimal, bool]]:
    value = standing.value_nano(measure)
    if value is None:
        return []
    passed = {one for one in standing.thresholds(measure) if is_passed(standing.amount, one, value)}
    fresh = sorted(passed - set(told))
    highest = max([*told, *fresh], default=None)
    return [(one, one == highest and _is_news(standing, measure, one)) for one in fresh]


def _is_news(standing: Standing, measure: Measure, threshold: Decimal) -> bool:
    return measure == "used" or not is_passed(standing.amount, threshold, standing.used_nano)


def receding(standing: Standing, known: Collection[Known]) -> Receding | None:
    """That use fell back below thresholds that were told in this epoch; None when it did not.

    Use only falls by corrections, so this is no noise. Below the amount that was told as well as the present one: a
    budget that is written anew with a larger amount corrects nothing. Forecasts fall and rise; they begin nothing.
    """
    gone = sorted(
        one.threshold
        for one in _told(standing, known)
        if one.measure == "used" and not _is_reached(min(one.amount, standing.amount), one.threshold, standing)
    )
    if not gone:
        return None
    return Receding(
        budget=standing.budget.id,
        unit=standing.budget.unit,
        period=standing.budget.period,
        epoch=standing.epoch,
        thresholds=tuple(gone),
        used_eur=from_nano(standing.used_nano),
        amount_eur=standing.amount,
    )


def _is_reached(amount: Decimal, threshold: Decimal, standing: Standing) -> bool:
    return from_nano(standing.used_nano) >= EXACT.multiply(amount, threshold)


def _told(standing: Standing, known: Collection[Known]) -> list[Known]:
    name = (standing.budget.id, standing.budget.period, standing.epoch)
    return [one for one in known if (one.budget, one.period, one.epoch) == name]


def _ended(budget: Budget, receded: Collection[Receded]) -> set[int]:
    return {one.epoch for one in receded if (one.budget, one.period) == (budget.id, budget.period)}


def _cause(
    standing: Standing, receded: Collection[Receded]
) -> tuple[Literal["use", "amendment", "correction"], str | None]:
    """What began the present epoch, and the number of the decision behind it."""
    if standing.epoch - 1 in _ended(standing.budget, receded):
        return "correction", None
    amended = in_force(standing.budget, standing.day)
    return ("amendment", amended[-1].decision) if amended else ("use", None)


def _crossing(
    standing: Standing, measure: Measure, threshold: Decimal,
    cause: tuple[Literal["use", "amendment", "correction"], str | None], *, speaks: bool,
) -> Crossing:  # fmt: skip
    budget = standing.budget
    return Crossing(
        budget=budget.id,
        unit=budget.unit,
        period=budget.period,
        threshold=threshold,
        epoch=standing.epoch,
        used_eur=from_nano(standing.used_nano),
        amount_eur=standing.amount,
        recipients=budget.recipients,
        spoken=speaks,
        measure=measure,
        committed_eur=None if standing.committed_nano is None else from_nano(standing.committed_nano),
        forecast_eur=None if standing.forecast is None else from_nano(standing.forecast.mid),
        cause=cause[0],
        decision=cause[1],
    )


def crossing_id(crossing: Crossing) -> str:
    """The name of a crossing: the same however often it is decided, and however its threshold is written."""
    name = (crossing.budget, crossing.period, threshold_text(crossing.threshold), crossing.epoch)
    return event_id("crossing", *name, *([] if crossing.measure == "used" else [crossing.measure]))


def receding_id(one: Receding) -> str:
    """The name of a receding: an epoch ends once."""
    return event_id("receding", one.budget, one.period, one.epoch)


def threshold_text(threshold: Decimal) -> str:
    """A threshold without trailing noughts: 0.80 and 0.8 are one."""
    return as_text(threshold.normalize(EXACT))
