"""Until where an empty database only catches up: what the bus held when it was first opened (design 5).

Decisions of an earlier life stand on the bus as outcomes. Before all positions have passed the ends that were seen at
the first start, a service takes them over and decides and sends nothing of its own.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, MetaData, Table, and_, delete, func, select

from services.shared.bus import EventBus, TopicPartition
from services.shared.store import Store, Transaction
from services.shared.store.tables import common_tables

_COLUMNS = ("cluster", "consumer_group", "topic", "partition", "end_offset")


class RebuildHorizon:
    """The ends of the bus at the first start of this database, per consumer group and partition; kept in it.

    Args:
        store: opened and migrated.
        metadata: the service's tables, the common ones among them.
        bus: with its topics made.
        groups: every consumer group of the service that must catch up → its topics.

    Making it looks at the bus and, on a database whose groups have read nothing yet, writes down what it sees. On every
    later start it reads what was written; several processes that start at once agree.
    """

    def __init__(self, store: Store, metadata: MetaData, bus: EventBus, groups: Mapping[str, Sequence[str]]) -> None:
        self._tables = common_tables(metadata)
        self._cluster, self._groups = bus.cluster_id, groups
        self._passed = False
        store.bind(bus.cluster_id)
        rows = _rows(bus, groups)
        with store.transaction() as tx:
            if self._claim(tx):
                tx.bulk_insert(self._tables.rebuild_horizon, _COLUMNS, rows)
            self._ends = self._load(tx.connection)

    def passed(self, connection: Connection) -> bool:
        """Whether the committed positions of all groups are at or behind these ends; true for good once it is.

        Inside a handler: whether all was read *before* this batch.
        """
        self._passed = self._passed or self._nothing_left(connection)
        return self._passed

    def covers(self, group: str, partition: TopicPartition, offset: int) -> bool:
        """Whether this record was on the bus at the first start: what is to be told of it was told then."""
        return offset < self._ends.get((group, partition), 0)

    def _claim(self, tx: Transaction) -> bool:
        """Whether this is the first start: nobody has written the horizon, and nothing was read."""
        row = (_claim_of(self._groups), "seen")
        first = tx.bulk_insert(self._tables.store_info, ("name", "value"), [row], ignore_conflicts=True) == 1
        return first and not any(tx.positions(self._cluster, group) for group in self._groups)

    def _load(self, connection: Connection) -> dict[tuple[str, TopicPartition], int]:
        table = self._tables.rebuild_horizon
        found = connection.execute(select(table).where(*self._ours(table)))
        return {(row.consumer_group, TopicPartition(row.topic, row.partition)): row.end_offset for row in found}

    def _nothing_left(self, connection: Connection) -> bool:
        ends, at = self._tables.rebuild_horizon, self._tables.consumer_position
        same = [ends.c[name] == at.c[name] for name in ("cluster", "consumer_group", "topic", "partition")]
        behind = func.coalesce(at.c.next_offset, 0) < ends.c.end_offset
        query = select(ends.c.topic).outerjoin(at, and_(*same)).where(behind, *self._ours(ends)).limit(1)
        return connection.execute(query).first() is None

    def _ours(self, table: Table) -> tuple[ColumnElement[bool], ...]:
        return table.c.cluster == self._cluster, table.c.consumer_group.in_(list(self._groups))


def renew_horizon(tx: Transaction, metadata: MetaData, bus: EventBus, groups: Mapping[str, Sequence[str]]) -> None:
    """Let a database that was put back from a backup catch up first, as an empty one does: until where the bus is now.

    What it decided between the backup and its loss stands on the bus, and would be decided again otherwise.
    """
    tables = common_tables(metadata)
    tx.bulk_insert(tables.store_info, ("name", "value"), [(_claim_of(groups), "seen")], ignore_conflicts=True)
    ours = tables.rebuild_horizon.c.consumer_group.in_(list(groups))
    tx.connection.execute(
        delete(tables.rebuild_horizon).where(ours, tables.rebuild_horizon.c.cluster == bus.cluster_id)
    )
    tx.bulk_insert(tables.rebuild_horizon, _COLUMNS, _rows(bus, groups))


def _claim_of(groups: Mapping[str, Sequence[str]]) -> str:
    return f"rebuild horizon of {', '.join(sorted(groups))}"


def _rows(bus: EventBus, groups: Mapping[str, Sequence[str]]) -> list[tuple[str, str, str, int, int]]:
    return [
        (bus.cluster_id, group, key.topic, key.partition, end)
        for group, topics in groups.items()
        for key, end in bus.end_positions(topics).items()
        if end > 0
    ]
