"""Findings and outputs, for scripts."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from services.audit_log.adapters.cases import list_cases, list_findings
from services.audit_log.adapters.reads import Reads
from services.audit_log.api.asking import LARGEST, Limit, Plain, reader_of
from services.shared.periods import timestamp
from services.shared.store import Store


def add_reviews(router: APIRouter, store: Store, reads: Reads) -> None:
    @router.get("/api/v1/findings", tags=["reviews"])
    def findings(
        request: Request,
        state: Literal["open", "closed"] | None = None,
        after: Annotated[int, Query(ge=-1, le=LARGEST)] = -1,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Findings in the order in which they were opened; `next` is the `after` of the next page."""
        still_open = None if state is None else state == "open"
        with store.reading() as connection:
            rows = list_findings(connection, still_open=still_open, after=after, limit=limit)
        reads.note(reader_of(request), "findings", {"state": state} if state else {}, len(rows))
        found = [_finding(row) for row in rows]
        return {"findings": found, "next": rows[-1].opened_seq if len(rows) == limit else None}

    @router.get("/api/v1/outputs", tags=["reviews"])
    def outputs(request: Request, state: Plain | None = None, after: Plain = "", limit: Limit = 100) -> dict[str, Any]:
        """AI outputs with their review state, by id; `next` is the `after` of the next page."""
        with store.reading() as connection:
            rows = list_cases(connection, state=state, after=after, limit=limit)
        reads.note(reader_of(request), "outputs", {"state": state} if rows and state else {}, len(rows))
        found = [_output(row) for row in rows]
        return {"outputs": found, "next": rows[-1].output_id if len(rows) == limit else None}


def _finding(row: Any) -> dict[str, Any]:  # noqa: ANN401  # a row of the table of findings
    closed = json.loads(row.closed) if row.closed else None
    return {**json.loads(row.opened), "opened_entry": row.opened_seq, "closed_entry": row.closed_seq, "closed": closed}


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
