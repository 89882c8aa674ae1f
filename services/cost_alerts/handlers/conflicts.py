"""The teller of conflicts: revisions that came with two contents are told once, also after a rebuild."""

from collections.abc import Callable

from sqlalchemy import Connection

from services.cost_alerts.handlers import outgoing
from services.cost_alerts.ports.outcomes import Conflicts
from services.shared.store import Store

NAME = "conflicts"
PAUSE_SECONDS = 2.0


class ConflictTeller:
    """Tells what was found and not yet told, for a `Loop`; one process at a time.

    `may_tell`: whether the outcomes of an earlier life have been read; before that, nobody knows what was told.
    """

    def __init__(self, store: Store, book: Conflicts, may_tell: Callable[[Connection], bool]) -> None:
        self._store = store
        self._book = book
        self._may_tell = may_tell

    def step(self) -> float:
        """Tell what there is; how long to pause, in seconds."""
        with self._store.exclusive(NAME) as alone:
            if alone and self._has_something():
                self._tell()
        return PAUSE_SECONDS

    def _has_something(self) -> bool:
        with self._store.reading() as connection:
            return self._may_tell(connection) and self._book.anything_to_tell(connection)

    def _tell(self) -> None:
        with self._store.transaction() as tx:
            found = self._book.to_tell(tx)
            tx.send([outgoing.conflict(conflict) for conflict in found])
            self._book.told(tx, found)
