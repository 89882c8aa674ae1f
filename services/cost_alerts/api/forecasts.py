"""The routes that tell forecasts as they were made, and how good forecasts are. Asking makes none."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from services.cost_alerts.adapters.foresight import SqlForecasts
from services.cost_alerts.domain.foresight.effect import PlannedEffect
from services.cost_alerts.domain.foresight.forecast import Forecast, Level, Range
from services.cost_alerts.domain.foresight.issued import ForecastTest
from services.cost_alerts.domain.foresight.pools import PoolOutlook
from services.shared.money import nano_text
from services.shared.store import Store

LevelText = Annotated[Level | None, Query(description="city, unit, system, vendor or budget; default: all")]
NameText = Annotated[str | None, Query(description="id of a unit, system, vendor or budget; default: all")]


def add_forecasts(router: APIRouter, store: Store) -> None:
    """Add the routes to the ledger's router."""

    @router.get("/api/v1/forecasts", tags=["costs"])
    def forecasts(level: LevelText = None, name: NameText = None) -> dict[str, Any]:
        """The newest forecasts of the month and the year; where prepaid pools lead; what planned changes add."""
        with store.reading() as connection:
            return forecasts_document(connection, level, name)

    @router.get("/api/v1/forecasts/tests", tags=["costs"])
    def tests() -> dict[str, Any]:
        """How good the forecasts of the last months would have been, and those issued in the last one were."""
        with store.reading() as connection:
            return tests_document(SqlForecasts().tests(connection))


def forecasts_document(connection: Connection, level: Level | None = None, name: str | None = None) -> dict[str, Any]:
    """What was forecast last, for programs; euro as text."""
    kept = SqlForecasts()
    made_on = kept.made_on(connection)
    found = [one for one in kept.newest(connection) if level in (None, one.level) and name in (None, one.name)]
    return {
        "made_on": None if made_on is None else made_on.isoformat(),
        "forecasts": [forecast_document(one) for one in found],
        "pools": [_pool(one) for one in kept.pools(connection)],
        "planned": [_planned(one) for one in kept.planned(connection)],
    }


def forecast_document(one: Forecast) -> dict[str, Any]:
    """A forecast for programs. `total_eur` and `variable_eur` are null where `reason` says why nobody can tell."""
    return {
        "level": one.level,
        "name": one.name,
        "first_day": one.first.isoformat(),
        "last_day": one.last.isoformat(),
        "total_eur": _range(one.total),
        "actual_eur": nano_text(one.actual_nano),
        "fixed_eur": nano_text(one.fixed_nano),
        "renewed_eur": nano_text(one.renewed_nano),
        "planned_eur": nano_text(one.planned_nano),
        "variable_eur": _range(one.variable),
        "reason": one.reason,
    }


def _pool(one: PoolOutlook) -> dict[str, Any]:
    cost = (one.overage_low_nano, one.overage_mid_nano, one.overage_high_nano)
    document = one.model_dump(mode="json", include={"key", "system", "meter", "size", "left", "reason"})
    days = one.model_dump(mode="json", include={"first_day", "last_day", "dry_low", "dry_mid", "dry_high"})
    low, mid, high = (None if nano is None else nano_text(nano) for nano in cost)
    return {**document, **days, "overage_eur": None if mid is None else {"low": low, "mid": mid, "high": high}}


def _planned(one: PlannedEffect) -> dict[str, Any]:
    return {
        "change": one.change,
        "kind": one.kind,
        "system": one.system,
        "unit": one.unit,
        "valid_from": one.valid_from.isoformat(),
        "month_eur": nano_text(one.month_nano),
        "year_eur": nano_text(one.year_nano),
        "is_priced": one.is_priced,
    }


def tests_document(found: Iterable[ForecastTest]) -> dict[str, Any]:
    """Tests of forecasts for programs: shares, not per cent; null: nothing to tell."""
    return {"tests": [one.model_dump(mode="json") for one in found]}


def _range(found: Range | None) -> dict[str, str] | None:
    return None if found is None else {name: nano_text(nano) for name, nano in found._asdict().items()}
