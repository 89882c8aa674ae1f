"""Texts and records that repeat, kept once and named by a number.

Numbers are remembered in memory. Those that were given out inside a transaction are looked at again when the next one
begins: if that transaction was rolled back they mean nothing, and everything remembered is dropped.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Table, select

from services.shared.store import Transaction, chunks

K = TypeVar("K")

_AT_ONCE = 400
_MOST_REMEMBERED = 500_000


class Dictionary(Generic[K]):
    """One table of `id` and a unique `name` column, with what else a row holds.

    Args:
        table: has an identity column `id`.
        name: its unique column.
        name_of: key → value of `name`.
        columns: the columns of a row.
        row_of: key → a row of these columns.
    """

    def __init__(
        self,
        table: Table,
        name: str,
        name_of: Callable[[K], Any],
        columns: Sequence[str],
        row_of: Callable[[Transaction, K], Sequence[Any]],
    ) -> None:
        self._table, self._columns = table, columns
        self._name: Column[Any] = table.c[name]
        self._name_of, self._row_of = name_of, row_of
        self._numbers: dict[K, int] = {}
        self._unconfirmed: dict[Any, int] = {}

    def begin(self, tx: Transaction) -> bool:
        """Look at the numbers of the last transaction; False when they are lost, and all must be forgotten."""
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        kept = self._stored(tx, list(unconfirmed)) == unconfirmed if unconfirmed else True
        return kept and len(self._numbers) <= _MOST_REMEMBERED

    def forget(self) -> None:
        self._numbers, self._unconfirmed = {}, {}

    def numbers(self, tx: Transaction, keys: Sequence[K]) -> Mapping[K, int]:
        """The number of each key; new ones are entered."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._numbers]
        if missing:
            self._enter(tx, missing)
        return self._numbers

    def number(self, tx: Transaction, key: K) -> int:
        """The number of one key, entered when it is new."""
        found = self._numbers.get(key)
        return self.numbers(tx, [key])[key] if found is None else found

    def _enter(self, tx: Transaction, keys: Sequence[K]) -> None:
        names = {key: self._name_of(key) for key in keys}
        stored = self._stored(tx, list(names.values()))
        new = [key for key in keys if names[key] not in stored]
        if new:
            # In order of their names, so that two writers that enter the same ones never wait for each other crosswise.
            rows = [self._row_of(tx, key) for key in sorted(new, key=names.__getitem__)]
            tx.bulk_insert(self._table, self._columns, rows, ignore_conflicts=True)
            entered = self._stored(tx, [names[key] for key in new])
            self._unconfirmed.update(entered)
            stored = {**stored, **entered}
        self._numbers.update({key: stored[names[key]] for key in keys})

    def _stored(self, tx: Transaction, names: Sequence[Any]) -> dict[Any, int]:
        found: dict[Any, int] = {}
        for some in chunks(names, _AT_ONCE):
            query = select(self._name, self._table.c.id).where(self._name.in_(some))
            found.update((row[0], row[1]) for row in tx.connection.execute(query))
        return found
