"""The common tables as the first migration of every service makes them.

Frozen: databases have run it. A later change is a new function beside this one and a new migration in each service.
"""

import sqlalchemy as sa
from alembic.operations import Operations

_STRICT = {"sqlite_strict": True}
_SMALL = {"sqlite_strict": True, "sqlite_with_rowid": False}


def create_common_tables(op: Operations) -> None:
    """Make consumer_position, outbox, store_info and rebuild_horizon. `op` is Alembic's: `from alembic import op`."""
    op.create_table("consumer_position", *_partition_key(), _big("next_offset"), **_SMALL)
    op.create_table("rebuild_horizon", *_partition_key(), _big("end_offset"), **_SMALL)
    op.create_table(
        "store_info",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **_SMALL,
    )
    op.create_table(
        "outbox",
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text()),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("recipient", sa.Text()),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("given_up_reason", sa.Text()),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("message_id"),
        **_STRICT,
    )
    waiting = sa.text("sent_at IS NULL AND given_up_reason IS NULL")
    columns = ["destination", "sequence"]
    op.create_index("outbox_waiting", "outbox", columns, sqlite_where=waiting, postgresql_where=waiting)


def _partition_key() -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("consumer_group", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cluster", "consumer_group", "topic", "partition"),
    )


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)
