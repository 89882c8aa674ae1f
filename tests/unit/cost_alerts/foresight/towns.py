"""A small town for tests of forecasts: places with a past, a register, and a model that can be reckoned by hand."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.ahead import Ahead
from services.cost_alerts.domain.foresight.arrays import BoolArray
from services.cost_alerts.domain.foresight.consumption import Spent
from services.cost_alerts.domain.foresight.fixed import Standing
from services.cost_alerts.domain.foresight.inputs import Inputs
from services.cost_alerts.domain.foresight.model import Cumulated
from services.cost_alerts.domain.view import View
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.money import NANO
from tests.unit.cost_alerts.domain.city import book

DAY = timedelta(days=1)
TODAY = date(2026, 11, 21)

KYMP, SOTE = Where("kymp", "claude", ""), Where("sote", "claude", "DIGI-7")

TOWN: tuple[Fact, ...] = (
    facts.Unit(id="city", parent=None, name={"en": "City"}, valid_from=date(2025, 1, 1)),
    facts.Unit(id="kymp", parent="city", name={"en": "K"}, valid_from=date(2025, 1, 1)),
    facts.Unit(id="sote", parent="city", name={"en": "S"}, valid_from=date(2025, 1, 1)),
    facts.System(id="claude", vendor="anthropic", name="Claude", owner="city"),
    facts.System(id="copilot", vendor="microsoft", name="Copilot", owner="city"),
)


def view_of(*more: Fact) -> View:
    return book([*TOWN, *more]).view(1)


def spent(
    costs: Mapping[Where, Sequence[int]], today: date = TODAY, adjusted: Mapping[Where, Sequence[int]] | None = None
) -> Spent:
    """What places cost a day, in whole euro, up to the day before today; all of it use, but for what is adjusted."""
    days = max(len(one) for one in costs.values())
    use = np.array([[*[0] * (days - len(one)), *one] for one in costs.values()], dtype=np.int64) * NANO
    changed = np.zeros_like(use)
    for number, where in enumerate(costs):
        late = (adjusted or {}).get(where, ())
        changed[number, days - len(late) :] = np.array(late, dtype=np.int64) * NANO
    return Spent(today - days * DAY, list(costs), use + changed, use, changed)


def inputs(costs: Mapping[Where, Sequence[int]], *more: Fact, today: date = TODAY, **members: object) -> Inputs:
    view = view_of(*more)
    standing = Standing.at(view, (today, date(today.year, 12, 31)), {}, lambda _key, _system: None)
    return Inputs(**{"today": today, "spent": spent(costs, today), "standing": standing, **members})  # type: ignore[arg-type]


def level(enough: Callable[[int], bool] = lambda _group: True) -> Callable[[Ahead, BoolArray], Cumulated]:
    """A model that expects every day to cost what the last known day did, a tenth more or less."""

    def cumulate(ahead: Ahead, groups: BoolArray) -> Cumulated:
        last = np.array([row[~np.isnan(row)][-1] for row in ahead.values])
        scale = np.ones((len(last), ahead.days)) if ahead.scale is None else ahead.scale
        mid = groups.astype(float) @ np.cumsum(last[:, np.newaxis] * scale, axis=1)
        known = np.array([enough(number) for number in range(len(groups))])
        return Cumulated(mid, mid * 0.9, mid * 1.1, known)

    return cumulate
