"""The log as files, by the paths of c2sp.org/tlog-tiles."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from services.audit_log.adapters.export import tile_bytes
from services.audit_log.adapters.matters import cosigned
from services.audit_log.adapters.pruned import minimum_index, said_pruned
from services.audit_log.api.asking import newest
from services.shared.store import Store
from services.shared.tlog.tiles import ENTRIES, parse_path

_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
_FULL = 256


def add_files(router: APIRouter, store: Store) -> None:
    @router.get("/log/checkpoint", tags=["log"])
    def checkpoint() -> Response:
        """The newest signed checkpoint (c2sp.org/tlog-checkpoint), with the cosignatures that came for it."""
        with store.reading() as connection:
            note, signed = newest(connection)
            note = cosigned(connection, note, signed.size)
        return Response(note, media_type="text/plain; charset=utf-8")

    @router.get("/log/tile/{rest:path}", tags=["log"])
    def tile(rest: str) -> Response:
        """A tile of hashes or a bundle of entries (c2sp.org/tlog-tiles)."""
        try:
            wanted = parse_path(f"tile/{rest}")
        except ValueError as error:
            raise HTTPException(404, str(error)) from None
        with store.reading() as connection:
            _, signed = newest(connection)
            data = tile_bytes(connection, wanted, signed.size)
            pruned = minimum_index(connection)
        if data is None and wanted.level == ENTRIES and wanted.first < pruned:
            raise HTTPException(404, said_pruned(wanted.first))
        if data is None:
            raise HTTPException(404, f"the newest checkpoint has {signed.size} entries: this tile is not under it")
        kind = "application/octet-stream"
        return Response(data, media_type=kind, headers=_IMMUTABLE if wanted.width == _FULL else None)
