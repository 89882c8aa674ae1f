"""What several routes ask alike."""

from typing import Annotated

from fastapi import HTTPException, Path, Query
from sqlalchemy import Connection

from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.note import parse_note

LARGEST = 2**62
"""An index that a database can compare; a log never has so many entries."""
Limit = Annotated[int, Query(ge=1, le=1000)]
Index = Annotated[int, Path(ge=0, le=LARGEST)]


def newest(connection: Connection) -> tuple[bytes, Checkpoint]:
    """The newest note, and what it says."""
    found = newest_checkpoint(connection)
    if found is None:
        raise HTTPException(
            404, "nothing was signed yet; the first checkpoint comes within a minute of the first entry"
        )
    return found[0], parse_checkpoint(parse_note(found[0]).text)
