"""Which (source, id) the log has: the same event makes one entry, a contradiction is kept and marked."""

from collections.abc import Sequence
from hashlib import blake2b

from sqlalchemy import select

from services.audit_log.adapters.tables import conflict, entry, entry_name
from services.audit_log.domain.entry import parse_entry
from services.audit_log.ports import Appended, Arrival
from services.shared.store import Transaction, chunks

_NAME_BYTES = 16
_AT_ONCE = 500


def number_by_name(tx: Transaction, arrivals: Sequence[Arrival], first: int) -> list[Appended | None]:
    """Give arrivals their indexes from `first` on; None for what the log has already, word for word."""
    names = [name_of(*arrival.name) for arrival in arrivals]
    if len(set(names)) == len(names) and _all_new(tx, names, first):
        return [Appended(index, None) for index in range(first, first + len(names))]
    known = _Known(tx, names)
    numbered = [known.number(name, arrival.value, first) for name, arrival in zip(names, arrivals, strict=True)]
    tx.bulk_insert(entry_name, ("name", "seq"), list(known.new.items()))
    return numbered


def name_of(source: str, event_id: str) -> bytes:
    """A digest of the pair; no two pairs share what is digested."""
    return blake2b(f"{len(source)}:{source}{event_id}".encode(), digest_size=_NAME_BYTES).digest()


def _all_new(tx: Transaction, names: Sequence[bytes], first: int) -> bool:
    """Note all names at once, which is the common case; undone when one of them stands already."""
    savepoint = tx.connection.begin_nested()
    rows = list(zip(names, range(first, first + len(names)), strict=True))
    if tx.bulk_insert(entry_name, ("name", "seq"), rows, ignore_conflicts=True) == len(rows):
        savepoint.commit()
        return True
    savepoint.rollback()
    return False


class _Known:
    """The names of a batch that the log has, with what it holds under them."""

    def __init__(self, tx: Transaction, names: Sequence[bytes]) -> None:
        self._tx = tx
        self._old = _lookup(tx, names)
        self._values: dict[int, set[bytes]] = {}
        self._next: int | None = None
        self.new: dict[bytes, int] = {}

    def number(self, name: bytes, value: bytes, first: int) -> Appended | None:
        index = first if self._next is None else self._next
        earlier = self._old.get(name, self.new.get(name))
        if earlier is None:
            self.new[name] = index
            self._values[index] = {value}
        elif value in self._held(earlier):
            return None
        else:
            self._held(earlier).add(value)
        self._next = index + 1
        return Appended(index, earlier)

    def _held(self, index: int) -> set[bytes]:
        """The values under the name of entry `index`: its own and those that contradict it."""
        if index not in self._values:
            same = select(conflict.c.seq).where(conflict.c.first_seq == index)
            query = select(entry.c.body).where((entry.c.seq == index) | entry.c.seq.in_(same))
            self._values[index] = {parse_entry(body).value for body in self._tx.connection.execute(query).scalars()}
        return self._values[index]


def _lookup(tx: Transaction, names: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for some in chunks(names, _AT_ONCE):
        query = select(entry_name.c.name, entry_name.c.seq).where(entry_name.c.name.in_(some))
        found |= {row.name: row.seq for row in tx.connection.execute(query)}
    return found
