"""Outputs, for scripts."""

import json
from typing import Any

from fastapi import APIRouter, Request

from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.cases import list_cases
from services.audit_log.api.asking import Limit, Plain, reader_of
from services.shared.periods import timestamp
from services.shared.store import Store


def add_reviews(router: APIRouter, store: Store, reads: Reads) -> None:
    @router.get("/api/v1/outputs", tags=["reviews"])
    def outputs(request: Request, state: Plain | None = None, after: Plain = "", limit: Limit = 100) -> dict[str, Any]:
        """AI outputs with their review state, by id; `next` is the `after` of the next page."""
        with store.reading() as connection:
            rows = list_cases(connection, state=state, after=after, limit=limit)
        reads.note(reader_of(request), "outputs", {"state": state} if rows and state else {}, len(rows))
        found = [_output(row) for row in rows]
        return {"outputs": found, "next": rows[-1].output_id if len(rows) == limit else None}


def _output(row: Any) -> dict[str, Any]:  # noqa: ANN401  # a row of the table of cases
    case = json.loads(row.document)
    return {
        "output_id": row.output_id,
        "state": row.state or "unjudged",
        "system": row.system or None,
        "unit": row.unit or None,
        "due_at": timestamp(row.due_at) if row.due_at else None,
        "output": case.get("output"),
        "duty": case.get("duty"),
        "reviews": case.get("reviews", []),
        "uses": case.get("uses", []),
    }
