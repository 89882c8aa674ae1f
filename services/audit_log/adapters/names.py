"""Which (source, id) the log has: the same event makes one entry, a contradiction is kept and marked."""

from collections.abc import Sequence
from itertools import repeat

from sqlalchemy import select

from services.audit_log.adapters.tables import conflict, entry, names
from services.audit_log.ports import Appended, Arrival
from services.shared.store import Transaction
from services.shared.store.names import digests_of
from services.shared.tlog.entry import parse_entry


def number_by_name(tx: Transaction, arrivals: Sequence[Arrival], first: int) -> list[Appended | None]:
    """Give arrivals their indexes from `first` on; None for what the log has already, word for word."""
    digests = digests_of([arrival.name for arrival in arrivals])
    indexes = range(first, first + len(arrivals))
    fresh = dict(zip(digests, indexes, strict=True))
    if len(fresh) == len(digests) and names.add_if_new(tx, fresh):
        return list(map(Appended, indexes, repeat(None)))
    known = _Known(tx, digests, first)
    numbered = [known.number(digest, arrival.value) for digest, arrival in zip(digests, arrivals, strict=True)]
    names.add(tx, known.new)
    return numbered


class _Known:
    """The names of a batch that the log has, with what it holds under them."""

    def __init__(self, tx: Transaction, digests: Sequence[bytes], first: int) -> None:
        self._tx, self._next = tx, first
        self._old = names.lookup(tx, digests)
        self._values: dict[int, set[bytes]] = {}
        self.new: dict[bytes, int] = {}

    def number(self, digest: bytes, value: bytes) -> Appended | None:
        earlier = self._old.get(digest, self.new.get(digest))
        if earlier is None:
            self.new[digest] = self._next
            self._values[self._next] = {value}
        elif value in self._held(earlier):
            return None
        else:
            self._held(earlier).add(value)
        self._next += 1
        return Appended(self._next - 1, earlier)

    def _held(self, index: int) -> set[bytes]:
        """The values under the name of entry `index`: its own and those that contradict it."""
        if index not in self._values:
            same = select(conflict.c.seq).where(conflict.c.first_seq == index)
            query = select(entry.c.body).where((entry.c.seq == index) | entry.c.seq.in_(same))
            self._values[index] = {parse_entry(body).value for body in self._tx.connection.execute(query).scalars()}
        return self._values[index]
