"""Entries one by one, and proofs about them."""

import base64
import json
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import Connection

from services.audit_log.adapters.entries import conflict_of, entries_named, read_entries, read_frontier, tile_reader
from services.audit_log.api.asking import LARGEST, Index, newest
from services.shared.periods import timestamp
from services.shared.store import Store
from services.shared.tlog.entry import parse_entry
from services.shared.tlog.merkle import consistency_proof, inclusion_proof, leaf_hash
from services.shared.tlog.tiles import node_reader


def add_entries(router: APIRouter, store: Store) -> None:
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
        index: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
        old_size: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    ) -> dict[str, Any]:
        """That entry `index` is under the newest checkpoint, or that the log of `old_size` entries is its beginning."""
        if (index is None) == (old_size is None):
            raise HTTPException(422, "expected one of index and old_size")
        with store.reading() as connection:
            return _proof(connection, index, old_size)


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
    note, signed = newest(connection)
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
