"""The route that tells budgets with all their figures."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.domain.budgets.amount import in_force
from services.cost_alerts.domain.budgets.state import BudgetState
from services.shared.clock import Clock
from services.shared.events.plans import Budget
from services.shared.money import as_text, nano_text
from services.shared.periods import helsinki_day


def add_budgets(router: APIRouter, queries: LedgerQueries, clock: Clock) -> None:
    """Add the route to the ledger's router."""

    @router.get("/api/v1/budgets", tags=["costs"])
    def budgets(
        year: Annotated[int | None, Query(description="a calendar year; default: every year of the register")] = None,
    ) -> dict[str, Any]:
        """Every budget of the newest register: amount, plan, used, committed, forecast; as `valvomo budgets --json`."""
        return budgets_document(queries.budgets(helsinki_day(clock.now())), year)


def budgets_document(states: Sequence[BudgetState], year: int | None) -> dict[str, Any]:
    """Budgets for programs, of one year or of all."""
    return {"budgets": [budget_document(one) for one in states if year in (None, one.budget.period)]}


def budget_document(state: BudgetState) -> dict[str, Any]:
    """A budget for programs; euro as text, null where not known."""
    budget, forecast = state.budget, state.forecast
    return {
        "id": budget.id,
        "unit": budget.unit,
        "system": budget.system,
        "vendor": budget.vendor,
        "project": budget.project,
        "programme": budget.programme,
        "period": budget.period,
        "as_of": state.day.isoformat(),
        "condition": state.condition,
        "epoch": state.epoch,
        "amount_eur": nano_text(state.amount_nano),
        "first_amount_eur": as_text(budget.amount),
        "decision": budget.decision,
        "amendments": _amendments(budget, state),
        "carried_over_eur": nano_text(state.carried_nano),
        "planned_to_date_eur": nano_text(state.planned_to_date_nano),
        "used_eur": nano_text(state.used_nano),
        "used_ratio": None if state.used_ratio is None else as_text(state.used_ratio),
        "committed_eur": nano_text(state.committed_nano),
        "forecast_eur": None
        if forecast is None
        else {"low": nano_text(forecast.low), "mid": nano_text(forecast.mid), "high": nano_text(forecast.high)},
        "thresholds": _texts(budget.thresholds),
        "forecast_thresholds": _texts(budget.forecast_thresholds),
        "recipients": list(budget.recipients),
    }


def _amendments(budget: Budget, state: BudgetState) -> list[dict[str, Any]]:
    counting = in_force(budget, state.day)
    return [
        {
            "valid_from": one.valid_from.isoformat(),
            "amount_eur": as_text(one.amount),
            "decision": one.decision,
            "in_force": one in counting,
        }
        for one in budget.amendments
    ]


def _texts(numbers: Sequence[Decimal]) -> list[str]:
    return [as_text(one) for one in numbers]
