"""How far each consumer group has read, as rows; moved only from the value that was read."""

from collections.abc import Collection

from sqlalchemy import Connection, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.shared.bus import TopicPartition
from services.shared.errors import StalePositionError


def load(
    connection: Connection, table: Table, cluster: str, group: str, partitions: Collection[TopicPartition] | None
) -> dict[TopicPartition, int]:
    query = select(table.c.topic, table.c.partition, table.c.next_offset).where(
        table.c.cluster == cluster, table.c.consumer_group == group
    )
    found = {TopicPartition(row.topic, row.partition): row.next_offset for row in connection.execute(query)}
    return found if partitions is None else {key: found[key] for key in partitions if key in found}


def advance(
    connection: Connection,
    table: Table,
    cluster: str,
    group: str,
    partition: TopicPartition,
    *,
    expected: int | None,
    new: int,
) -> None:
    name = {"cluster": cluster, "consumer_group": group, "topic": partition.topic, "partition": partition.partition}
    if expected is None:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        moved = connection.execute(
            insert(table).values(**name, next_offset=new).on_conflict_do_nothing(),
            execution_options={"preserve_rowcount": True},
        )
    else:
        moved = connection.execute(
            update(table)
            .where(*(table.c[column] == value for column, value in name.items()), table.c.next_offset == expected)
            .values(next_offset=new)
        )
    if moved.rowcount != 1:
        raise StalePositionError(
            f"the position of {group} in {partition.topic}/{partition.partition} is no longer "
            f"{'unset' if expected is None else expected}: another consumer has it now; this batch is dropped"
        )
