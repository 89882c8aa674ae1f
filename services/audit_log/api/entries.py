"""Entries one by one and by what they name, and proofs about them."""

import base64
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from sqlalchemy import Connection

from services.audit_log.adapters.entries import conflict_of, entries_named, read_entries, read_frontier, tile_reader
from services.audit_log.adapters.pruned import minimum_index, said_pruned
from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.search import bodies_of, conflicts_of, find
from services.audit_log.api.asking import (
    LARGEST,
    After,
    Before,
    Index,
    Limit,
    filter_of,
    newest,
    reader_of,
    refuse_unknown,
)
from services.audit_log.domain.search import Filter
from services.shared.periods import timestamp
from services.shared.store import Store
from services.shared.tlog.entry import EntryError, parse_entry
from services.shared.tlog.merkle import consistency_proof, inclusion_proof, leaf_hash
from services.shared.tlog.tiles import node_reader

Wanted = Annotated[Filter, Depends(filter_of)]


def add_entries(router: APIRouter, store: Store, reads: Reads) -> None:
    @router.get("/api/v1/log/entries/{index}", tags=["log"])
    def entry(request: Request, index: Index) -> dict[str, Any]:
        """One entry: where it stood on the bus, the event, and the exact bytes that are hashed (base64)."""
        with store.reading() as connection:
            found = whole_entry(connection, index)
        reads.note(reader_of(request), "entry", {"index": str(index)}, 1)
        return found

    @router.get("/api/v1/log/entries", tags=["log"], dependencies=[Depends(refuse_unknown)])
    def entries(
        request: Request,
        wanted: Wanted,
        *,
        after: After = -1,
        before: Before = None,
        limit: Limit = 100,
        newest_first: Annotated[bool, Query()] = False,
    ) -> dict[str, Any]:
        """The entries that fit, in the order of the log; only `source` and `id`: the first entry of that event, whole.

        Give the members of `next` back as parameters for the next page: no entry is left out or comes twice, however
        the log grows meanwhile. A page may hold fewer than `limit`, even none, while `next` says that more may follow.
        `indexed`: of how many entries this search knows; entries are there some seconds after they were appended.
        """
        with store.reading() as connection:
            if _names_one(wanted):
                answer, count = _first_of(connection, wanted), 1
            else:
                answer = _page(connection, wanted, after, before, limit, newest_first=newest_first)
                count = len(answer["entries"])
        reads.note(reader_of(request), "entries", wanted.asked(), count)
        return answer

    @router.get("/api/v1/log/proof", tags=["log"])
    def proof(
        request: Request,
        index: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
        old_size: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    ) -> dict[str, Any]:
        """That entry `index` is under the newest checkpoint, or that the log of `old_size` entries is its beginning."""
        if (index is None) == (old_size is None):
            raise HTTPException(422, "expected one of index and old_size")
        asked = {"index": index} if index is not None else {"old_size": old_size}
        with store.reading() as connection:
            found = {**asked, **proof_of(connection, index, old_size)}
        reads.note(reader_of(request), "proof", {name: str(value) for name, value in asked.items()}, 1)
        return found


def whole_entry(connection: Connection, index: int) -> dict[str, Any]:
    """One entry with all that is known of it.

    Raises:
        HTTPException: there is no such entry, or its bytes are gone (410).
    """
    found = read_entries(connection, index, index + 1)
    size = read_frontier(connection).size
    if not found and index < min(size, minimum_index(connection)):
        raise HTTPException(410, said_pruned(index))
    if not found:
        raise HTTPException(404, f"found no entry {index}; the log has {size} entries, counted from 0")
    return {**_described(index, found[0], conflict_of(connection, index)), "entry": base64.b64encode(found[0]).decode()}


def proof_of(connection: Connection, index: int | None, old_size: int | None) -> dict[str, Any]:
    """A proof of one of the two kinds, under the newest checkpoint.

    Raises:
        HTTPException: nothing was signed yet, or the newest checkpoint does not reach so far.
    """
    note, signed = newest(connection)
    node = node_reader(tile_reader(connection, read_frontier(connection)))
    try:
        if index is not None:
            hashes = inclusion_proof(index, signed.size, node)
        else:
            hashes = consistency_proof(old_size or 0, signed.size, node)
    except ValueError as error:
        raise HTTPException(404, f"{error}, as the newest checkpoint says") from None
    return {"proof": [base64.b64encode(hashed).decode() for hashed in hashes], "checkpoint": note.decode()}


def _names_one(wanted: Filter) -> bool:
    name = wanted.source is not None and wanted.event_id is not None
    return name and wanted == Filter(source=wanted.source, event_id=wanted.event_id)


def _first_of(connection: Connection, wanted: Filter) -> dict[str, Any]:
    name = (wanted.source or "", wanted.event_id or "")
    index = entries_named(connection, [name]).get(name)
    if index is None:
        raise HTTPException(404, "found no entry of that source and id; the log may be behind the bus")
    return whole_entry(connection, index)


def _page(
    connection: Connection, wanted: Filter, after: int, before: int | None, limit: int, *, newest_first: bool
) -> dict[str, Any]:
    page = find(connection, wanted, after=after, before=before, limit=limit, newest_first=newest_first)
    bodies, conflicts = bodies_of(connection, page.indexes), conflicts_of(connection, page.indexes)
    return {
        "entries": [_described(index, body, conflicts.get(index)) for index, body in bodies.items()],
        "next": dict(zip(("after", "before"), page.next, strict=True)) if page.next else None,
        "indexed": page.size,
        "size": read_frontier(connection).size,
    }


def _described(index: int, body: bytes, conflicts_with: int | None) -> dict[str, Any]:
    try:
        position, value = (read := parse_entry(body)).position, read.value
        event = json.loads(value)
    except (EntryError, ValueError, RecursionError):
        raise HTTPException(
            500,
            f"entry {index} is damaged in the database: verify the log (valvomo audit verify), restore it as it was",
        ) from None
    return {
        "index": index,
        "cluster": position.cluster,
        "topic": position.topic,
        "partition": position.partition,
        "offset": position.offset,
        "ingest_time": timestamp(position.ingest_time),
        "conflicts_with": conflicts_with,
        "event": event,
        "leaf_hash": leaf_hash(body).hex(),
    }
