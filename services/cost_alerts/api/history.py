"""The routes on how the ledger's past changed: restatements, closed months."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from sqlalchemy import select

from services.cost_alerts.adapters.history import Extent, extents
from services.cost_alerts.adapters.restatements import Restated, progress, restated
from services.cost_alerts.adapters.tables import CLOSING
from services.cost_alerts.domain.closing import month_of
from services.shared.money import as_text, from_nano
from services.shared.periods import timestamp
from services.shared.store import Store
from services.shared.store.tables import instant


def add_history(router: APIRouter, store: Store) -> None:
    """Add the routes to the ledger's router."""

    @router.get("/api/v1/restatements", tags=["costs"])
    def restatements() -> dict[str, Any]:
        """What each register version changed afterwards, by unit, the newest first; and how far the present one is."""
        with store.reading() as connection:
            reached = extents(connection)
            found = [restatement_document(one, reached.get(one.version)) for one in restated(connection)]
            return {"progress": progress(connection), "restatements": found}

    @router.get("/api/v1/closings", tags=["costs"])
    def closings() -> dict[str, Any]:
        """The closed months, with the last instant that counts for each."""
        with store.reading() as connection:
            rows = connection.execute(select(CLOSING).order_by(CLOSING.c.month)).all()
        return {
            "closings": [
                {
                    "month": str(month_of(row.month)),
                    "cut_off": timestamp(instant(row.cut_off)),
                    "closed_by": row.closed_by,
                }
                for row in rows
            ]
        }


def restatement_document(one: Restated, reached: Extent | None) -> dict[str, Any]:
    """What a register version changed, for programs; the days and counts are null where a rebuild has just begun."""
    return {
        "register_version": one.version,
        "published_at": timestamp(instant(one.published_at)),
        "author": one.author,
        "approver": one.approver,
        "reason": one.reason,
        "before_eur": _euro({unit: before for unit, (before, _) in one.by_unit.items()}),
        "after_eur": _euro({unit: after for unit, (_, after) in one.by_unit.items()}),
        "first_day": None if reached is None else reached.first_day.isoformat(),
        "last_day": None if reached is None else reached.last_day.isoformat(),
        "unpriced_before": None if reached is None else reached.unpriced_before,
        "unpriced_after": None if reached is None else reached.unpriced_after,
    }


def _euro(by_unit: Mapping[str, int]) -> dict[str, str]:
    return {unit: as_text(from_nano(nano)) for unit, nano in sorted(by_unit.items())}
