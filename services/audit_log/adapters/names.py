"""Which (source, id) the log has: the same event makes one entry, a contradiction is kept and marked."""

from collections.abc import Sequence
from itertools import repeat

from sqlalchemy import Connection, Select, select

from services.audit_log.adapters.pruned import leaves_below
from services.audit_log.adapters.tables import conflict, entry, names
from services.audit_log.ports import Appended, Arrival
from services.shared.store import Transaction, chunks
from services.shared.store.names import digests_of
from services.shared.tlog.entry import make_entry, parse_entry
from services.shared.tlog.merkle import leaf_hash

_AT_ONCE = 500


def number_by_name(tx: Transaction, arrivals: Sequence[Arrival], first: int) -> list[Appended | None]:
    """Give arrivals their indexes from `first` on; None for what the log has already, word for word."""
    digests = digests_of([arrival.name for arrival in arrivals])
    indexes = range(first, first + len(arrivals))
    fresh = dict(zip(digests, indexes, strict=True))
    if len(fresh) == len(digests) and names.add_if_new(tx, fresh):
        return list(map(Appended, indexes, repeat(None)))
    known = _Known(tx, digests, first)
    numbered = [known.number(digest, arrival) for digest, arrival in zip(digests, arrivals, strict=True)]
    names.add(tx, known.new)
    return numbered


class _Known:
    """The names of a batch that the log has, with what it holds under them."""

    def __init__(self, tx: Transaction, digests: Sequence[bytes], first: int) -> None:
        self._next = first
        self._old = names.lookup(tx, digests)
        self._values, self._pruned = _held(tx.connection, set(self._old.values()))
        self.new: dict[bytes, int] = {}

    def number(self, digest: bytes, arrival: Arrival) -> Appended | None:
        value, earlier = arrival.value, self._old.get(digest, self.new.get(digest))
        if earlier is None:
            self.new[digest] = self._next
            self._values[self._next] = {value}
        elif value in self._values[earlier] or self._was_pruned(earlier, arrival):
            return None
        else:
            self._values[earlier].add(value)
        self._next += 1
        return Appended(self._next - 1, earlier)

    def _was_pruned(self, index: int, arrival: Arrival) -> bool:
        """Whether this very record made an entry that was pruned.

        What stood elsewhere on the bus cannot be told from a contradiction any more: it is kept as one.
        """
        gone = self._pruned.get(index, set())
        return bool(gone) and leaf_hash(make_entry(arrival.position, arrival.value)) in gone


def _held(connection: Connection, indexes: set[int]) -> tuple[dict[int, set[bytes]], dict[int, set[bytes]]]:
    """What the log holds under the names of these entries, which were the first of theirs.

    Their values and those that contradict them; and the hashes of those among them that were pruned.
    """
    first_of = {index: index for index in indexes}
    values: dict[int, set[bytes]] = {index: set() for index in indexes}
    for some in chunks(sorted(indexes), _AT_ONCE):
        first_of |= {row.seq: row.first_seq for row in connection.execute(_contradicting(some))}
    gone = set(first_of)
    for some in chunks(sorted(first_of), _AT_ONCE):
        for row in connection.execute(select(entry.c.seq, entry.c.body).where(entry.c.seq.in_(some))):
            values[first_of[row.seq]].add(parse_entry(row.body).value)
            gone.discard(row.seq)
    pruned: dict[int, set[bytes]] = {}
    for index, leaf in leaves_below(connection, gone).items():
        pruned.setdefault(first_of[index], set()).add(leaf)
    return values, pruned


def _contradicting(indexes: Sequence[int]) -> Select[tuple[int, int]]:
    return select(conflict.c.seq, conflict.c.first_seq).where(conflict.c.first_seq.in_(indexes))
