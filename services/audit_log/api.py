"""The log's routes: the C2SP files for auditors and witnesses, and what scripts ask about entries, outputs, findings.

A green answer of this server is no evidence: it is the server's own word. Evidence is an export, or these files,
verified on another machine with a key that came another way.
"""

import base64
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import Response
from sqlalchemy import Connection

from services.audit_log.adapters.cases import list_cases, list_findings
from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.entries import conflict_of, entries_named, read_entries, read_frontier, tile_reader
from services.audit_log.adapters.export import tile_bytes
from services.audit_log.domain.checkpoint import Checkpoint, parse_checkpoint
from services.audit_log.domain.entry import parse_entry
from services.audit_log.domain.merkle import consistency_proof, inclusion_proof, leaf_hash
from services.audit_log.domain.note import parse_note
from services.audit_log.domain.tiles import node_reader, parse_path
from services.shared.periods import timestamp
from services.shared.store import Store

_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
_FULL = 256
Limit = Annotated[int, Query(ge=1, le=1000)]
_LARGEST = 2**62
"""An index that a database can compare; a log never has so many entries."""
Index = Annotated[int, Path(ge=0, le=_LARGEST)]


def make_router(store: Store) -> APIRouter:
    """The routes over the log's database."""
    router = APIRouter()
    _add_files(router, store)
    _add_entries(router, store)
    _add_reviews(router, store)
    return router


def _add_files(router: APIRouter, store: Store) -> None:
    @router.get("/log/checkpoint", tags=["log"])
    def checkpoint() -> Response:
        """The newest signed checkpoint (c2sp.org/tlog-checkpoint)."""
        with store.reading() as connection:
            note, _ = _newest(connection)
        return Response(note, media_type="text/plain; charset=utf-8")

    @router.get("/log/tile/{rest:path}", tags=["log"])
    def tile(rest: str) -> Response:
        """A tile of hashes or a bundle of entries (c2sp.org/tlog-tiles)."""
        try:
            wanted = parse_path(f"tile/{rest}")
        except ValueError as error:
            raise HTTPException(404, str(error)) from None
        with store.reading() as connection:
            _, signed = _newest(connection)
            data = tile_bytes(connection, wanted, signed.size)
        if data is None:
            raise HTTPException(404, f"the newest checkpoint has {signed.size} entries: this tile is not under it")
        kind = "application/octet-stream"
        return Response(data, media_type=kind, headers=_IMMUTABLE if wanted.width == _FULL else None)


def _add_entries(router: APIRouter, store: Store) -> None:
    @router.get("/api/v1/log/entries/{index}", tags=["log"])
    def entry(index: Index) -> dict[str, Any]:
        """One entry: where it stood on the bus, the event, and the exact bytes that are hashed (base64)."""
        with store.reading() as connection:
            return _entry(connection, index)

    @router.get("/api/v1/log/entries", tags=["log"])
    def entry_of_event(
        source: Annotated[str, Query(max_length=128)], event_id: Annotated[str, Query(alias="id", max_length=192)]
    ) -> dict[str, Any]:
        """The first entry of an event, by the event's source and id."""
        with store.reading() as connection:
            index = entries_named(connection, [(source, event_id)]).get((source, event_id))
            if index is None:
                raise HTTPException(404, "found no entry of that source and id; the log may be behind the bus")
            return _entry(connection, index)

    @router.get("/api/v1/log/proof", tags=["log"])
    def proof(
        index: Annotated[int | None, Query(ge=0, le=_LARGEST)] = None,
        old_size: Annotated[int | None, Query(ge=0, le=_LARGEST)] = None,
    ) -> dict[str, Any]:
        """That entry `index` is under the newest checkpoint, or that the log of `old_size` entries is its beginning."""
        if (index is None) == (old_size is None):
            raise HTTPException(422, "expected one of index and old_size")
        with store.reading() as connection:
            return _proof(connection, index, old_size)


def _add_reviews(router: APIRouter, store: Store) -> None:
    @router.get("/api/v1/findings", tags=["reviews"])
    def findings(
        state: Literal["open", "closed"] | None = None,
        after: Annotated[int, Query(ge=-1, le=_LARGEST)] = -1,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Findings in the order in which they were opened; `next` is the `after` of the next page."""
        still_open = None if state is None else state == "open"
        with store.reading() as connection:
            rows = list_findings(connection, still_open=still_open, after=after, limit=limit)
        found = [_finding(row) for row in rows]
        return {"findings": found, "next": rows[-1].opened_seq if len(rows) == limit else None}

    @router.get("/api/v1/outputs", tags=["reviews"])
    def outputs(state: str | None = None, after: str = "", limit: Limit = 100) -> dict[str, Any]:
        """AI outputs with their review state, by id; `next` is the `after` of the next page."""
        with store.reading() as connection:
            rows = list_cases(connection, state=state, after=after, limit=limit)
        found = [_output(row) for row in rows]
        return {"outputs": found, "next": rows[-1].output_id if len(rows) == limit else None}


def _newest(connection: Connection) -> tuple[bytes, Checkpoint]:
    found = newest_checkpoint(connection)
    if found is None:
        raise HTTPException(
            404, "nothing was signed yet; the first checkpoint comes within a minute of the first entry"
        )
    return found[0], parse_checkpoint(parse_note(found[0]).text)


def _entry(connection: Connection, index: int) -> dict[str, Any]:
    found = read_entries(connection, index, index + 1)
    if not found:
        size = read_frontier(connection).size
        raise HTTPException(404, f"found no entry {index}; the log has {size} entries, counted from 0")
    position = parse_entry(found[0]).position
    return {
        "index": index,
        "cluster": position.cluster,
        "topic": position.topic,
        "partition": position.partition,
        "offset": position.offset,
        "ingest_time": timestamp(position.ingest_time),
        "conflicts_with": conflict_of(connection, index),
        "event": json.loads(parse_entry(found[0]).value),
        "leaf_hash": leaf_hash(found[0]).hex(),
        "entry": base64.b64encode(found[0]).decode(),
    }


def _proof(connection: Connection, index: int | None, old_size: int | None) -> dict[str, Any]:
    note, signed = _newest(connection)
    node = node_reader(tile_reader(connection, read_frontier(connection)))
    try:
        if index is not None:
            hashes = inclusion_proof(index, signed.size, node)
        else:
            hashes = consistency_proof(old_size or 0, signed.size, node)
    except ValueError as error:
        raise HTTPException(404, f"{error}, as the newest checkpoint says") from None
    asked = {"index": index} if index is not None else {"old_size": old_size}
    return {**asked, "proof": [base64.b64encode(hashed).decode() for hashed in hashes], "checkpoint": note.decode()}


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
