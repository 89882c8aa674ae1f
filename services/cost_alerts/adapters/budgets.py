"""Budgets with all their figures for whoever shows them, and what a message about one tells besides the crossing."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection

from services.cost_alerts.adapters.briefing import Counts, briefing_of, spent_lately
from services.cost_alerts.adapters.decisions import facts
from services.cost_alerts.domain.alerts.actions import OF_BUDGET
from services.cost_alerts.domain.alerts.letter import Briefing
from services.cost_alerts.domain.alerts.movers import lasts_until
from services.cost_alerts.domain.budgets.amount import first_day, last_day
from services.cost_alerts.domain.budgets.scope import fits
from services.cost_alerts.domain.budgets.state import BudgetState, states
from services.cost_alerts.domain.view import View
from services.shared.events.outcomes import Crossing
from services.shared.events.plans import Budget
from services.shared.money import EXACT, from_nano, to_nano

_PATH = "#units"


def budget_states(connection: Connection, view: View, today: date) -> Sequence[BudgetState]:
    """Every budget of a register version with its use and forecast, by id. `today`: the last Helsinki day begun."""
    return states(view, today, facts(connection))


def brief(connection: Connection, view: View, today: date, crossing: Crossing) -> Briefing:
    """What moved the cost that a budget counts, and until when what is left of it lasts.

    The level line in the chart is what the budget allows a day, spent evenly over its year.
    """
    budget = next(one for one in view.budgets if one.id == crossing.budget)
    counts = _counts(budget, view)
    left = to_nano(EXACT.subtract(crossing.amount_eur, crossing.used_eur))
    spent = spent_lately(connection, view, today, budget.unit, counts)
    year = (last_day(budget) - first_day(budget)).days + 1
    return briefing_of(
        connection,
        view,
        today,
        budget.unit,
        budget.system,
        counts=counts,
        actions=OF_BUDGET,
        lasts_until=lasts_until(left, spent, today, last_day(budget)),
        limit=from_nano(to_nano(crossing.amount_eur) // year),
        path=_PATH,
    )


def _counts(budget: Budget, view: View) -> Counts:
    return lambda _unit, system, project: fits(budget, view, system, project)
