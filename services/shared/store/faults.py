"""What a database's error means to the caller, said without the values that a driver's message may hold.

A driver quotes rows ("Key (person)=(…) already exists"), and messages end in log lines.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, InterfaceError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.shared.errors import IncompatibleStoreError, PlatformError, TransientError

_HERE = Path(__file__).parent
_STANDARD_LIBRARY = str(Path(traceback.__file__).parent)

Explain = Callable[[BaseException], PlatformError | None]


class RefusedStatementError(IncompatibleStoreError):
    """The database refused a statement: a constraint, a type, a missing table. A defect, or not our database."""


@contextmanager
def translated(explain: Explain) -> Iterator[None]:
    """Turn what the driver (or SQLAlchemy around it) raises into our own errors; others pass unchanged."""
    try:
        yield
    except PlatformError:
        raise
    except Exception as error:
        found = _meaning(error, explain)
        if found is None:
            raise
        found.add_note(f"raised at {_place(error)}")
        raise found from None


def refused(kind: str, detail: str, error: BaseException) -> RefusedStatementError:
    """The error for a statement that can never succeed as it is. `detail` holds names of tables and columns only."""
    return RefusedStatementError(
        f"the database refused a statement at {_place(error)} ({kind}: {detail}); nothing was written. "
        "This is a defect or a database of another program: report it with this line"
    )


def _meaning(error: Exception, explain: Explain) -> PlatformError | None:
    if isinstance(error, PoolTimeoutError):
        return TransientError("all connections to the database are busy; trying again")
    if isinstance(error, PendingRollbackError):
        return TransientError("the connection to the database was lost inside a transaction; nothing was written")
    if isinstance(error, DBAPIError) and error.orig is not None:
        return explain(error.orig.with_traceback(error.__traceback__))
    if isinstance(error, InterfaceError):
        return TransientError("the connection to the database was lost; trying again")
    return explain(error)


def _place(error: BaseException) -> str:
    """The last line that the error passed outside libraries and, when there is one, outside the store."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_library(frame.filename)]
    outside = [frame for frame in frames if _HERE not in Path(frame.filename).parents] or frames
    if not outside:
        return "an unknown line"
    return f"{'/'.join(Path(outside[-1].filename).parts[-3:])}:{outside[-1].lineno}"


def _is_library(filename: str) -> bool:
    return filename.startswith(("<", _STANDARD_LIBRARY)) or "site-packages" in filename
