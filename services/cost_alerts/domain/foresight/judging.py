"""The monthly test of the forecasts: anew on the past, and of those that were issued for the month that has ended."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from math import isnan

from services.cost_alerts.domain.foresight.backtest import ORIGINS, Tested, attempts, summarised
from services.cost_alerts.domain.foresight.consumption import consumption
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.foresight.groups import Group, Membership
from services.cost_alerts.domain.foresight.inputs import Inputs
from services.cost_alerts.domain.foresight.issued import ForecastTest, Issued, TestedDay, issued
from services.cost_alerts.domain.foresight.model import History
from services.cost_alerts.domain.foresight.paid import Paid
from services.shared.periods import Month

MONTHS = 24
"""How many months are tested, as far as the ledger goes back."""

TESTED_LEVELS = ("city", "unit", "system")

Progress = Callable[[int, int], None]

_DAY = timedelta(days=1)


def last_months(last: Month, count: int) -> Sequence[Month]:
    """The months up to `last`, inclusive, rising."""
    found = [last]
    while len(found) < count:
        found.append(found[-1].previous)
    return found[::-1]


def judged(
    inputs: Inputs,
    last: Month,
    kept: Iterable[Forecast],
    *,
    months: int = MONTHS,
    progress: Progress = lambda _done, _total: None,
) -> Sequence[ForecastTest]:
    """The tests of the months up to `last`, inclusive, of the city, its units and its systems.

    `kept`: the forecasts of `last` as they were issued. Places without any consumption are not tested.
    """
    member = Membership(inputs.standing.view, inputs.today)
    by_group = _issued(inputs, member, last, kept)
    tested = _tested(inputs, member, last_months(last, months), progress)
    return [
        ForecastTest(
            month=last.first_day,
            level=group.level,
            name=group.name,
            tested=tuple(tested.get(group, ())),
            issued=by_group.get(group),
        )
        for group in sorted({*tested, *by_group})
    ]


def _tested(
    inputs: Inputs, member: Membership, months: Sequence[Month], progress: Progress
) -> Mapping[Group, Sequence[TestedDay]]:
    past = consumption(inputs.spent, inputs.beyond, inputs.prices)
    groups = [group for group in member.all(past.places) if group.level in TESTED_LEVELS]
    if not past.places:
        return {}
    matrix = member.matrix(groups, past.places)
    history = History(past.first_day, past.values)
    found: dict[Group, list[TestedDay]] = defaultdict(list)
    tried = attempts(history, matrix, months, ORIGINS, progress=progress)
    # A month of nothing, of which nothing was expected, is right by no merit: before the first use, after the last.
    telling = [one for one in tried if one.happened or one.forecast]
    for one in summarised(telling, len(groups), ORIGINS):
        found[groups[one.group]].append(tested_day(one))
    return found


def tested_day(one: Tested) -> TestedDay:
    """A test as it is kept: what is not known is None."""
    return TestedDay(
        day_of_month=one.origin,
        months=one.n,
        error=_known(one.error),
        bias=_known(one.bias),
        run_rate_error=_known(one.run_rate_error),
        coverage=_known(one.coverage),
    )


def _known(figure: float) -> float | None:
    return None if isnan(figure) else figure


def _issued(inputs: Inputs, member: Membership, month: Month, kept: Iterable[Forecast]) -> Mapping[Group, Issued]:
    """The forecasts of a month as they were issued, by group, beside what it became."""
    by_group: dict[Group, list[Forecast]] = defaultdict(list)
    for one in kept:
        by_group[Group(one.level, one.name)].append(one)
    became = Paid(inputs.spent, member).by_group(month.first_day, month.next.first_day - _DAY)
    return dict(_compared(by_group, became))


def _compared(
    by_group: Mapping[Group, Sequence[Forecast]], became: Mapping[Group, int]
) -> Iterator[tuple[Group, Issued]]:
    for group, found in by_group.items():
        compared = issued(found, became.get(group, 0))
        if compared is not None:
            yield group, compared
