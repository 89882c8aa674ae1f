"""Reviews with all that the policy asks, samples, what is seen in use, incidents, roles.

The projections, and the index beside which it is kept what is seen in use, are dropped and made again from the entries
after the next start.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_STRICT = {"sqlite_strict": True}


def upgrade() -> None:
    op.drop_table("case_file")
    op.drop_table("finding")
    for table in ("register_staged", "register_fact"):
        op.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  # our own names
    _make_case_file()
    _make_finding()
    _make_samples()
    _make_register()
    for table in ("facet", "time_block", "event_source"):
        op.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  # our own names
    op.execute("UPDATE indexed SET size = 0")
    op.create_table("refold", _small("id"), sa.PrimaryKeyConstraint("id"), **_STRICT)
    op.execute("INSERT INTO refold (id) SELECT 1 FROM head WHERE size > 0")


def _make_case_file() -> None:
    op.create_table(
        "case_file",
        *map(_text, ("output_id", "document", "state", "system", "unit", "use_case", "risk_class", "model")),
        _small("waits"),
        *map(_maybe_big, ("generated_at", "due_at", "next_look")),
        sa.Column("content_hash", sa.Text()),
        sa.PrimaryKeyConstraint("output_id"),
        **_STRICT,
    )
    op.create_index("case_file_next_look", "case_file", ["next_look"])
    op.create_index("case_file_state", "case_file", ["state", "system"])
    waits = sa.text("waits = 1")
    op.create_index(
        "case_file_queue",
        "case_file",
        ["due_at", "output_id", "unit", "use_case", "risk_class", "system", "state"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_index("case_file_generated", "case_file", ["generated_at", "output_id"])
    counted = ["use_case", "unit", "state", "system", "risk_class", "due_at", "generated_at"]
    op.create_index("case_file_uses", "case_file", counted)
    op.create_index("case_file_content", "case_file", ["content_hash"])


def _make_finding() -> None:
    op.create_table(
        "finding",
        _text("finding_id"),
        sa.Column("output_id", sa.Text()),
        *map(_text, ("kind", "severity", "unit", "use_case", "system")),
        _big("detected_at"),
        _big("opened_seq"),
        _maybe_big("closed_seq"),
        _text("opened"),
        sa.Column("closed", sa.Text()),
        sa.PrimaryKeyConstraint("finding_id"),
        **_STRICT,
    )
    op.create_index("finding_output", "finding", ["output_id"])
    op.create_index("finding_kind", "finding", ["kind", "unit"])
    op.create_index("finding_seq", "finding", ["opened_seq"])


def _make_samples() -> None:
    op.create_table(
        "joined", *map(_text, ("kind", "old", "new")), _big("seq"), sa.PrimaryKeyConstraint("kind", "old"), **_STRICT
    )
    op.create_table(
        "sample_period",
        *map(_text, ("period", "first_day", "last_day", "commitment")),
        *map(_big, ("committed_at", "committed_seq")),
        sa.Column("salt", sa.Text()),
        _maybe_big("revealed_seq"),
        sa.PrimaryKeyConstraint("period"),
        **_STRICT,
    )
    op.create_table(
        "sample_draw",
        *map(_text, ("period", "system", "risk_class")),
        _big("seq"),
        _text("document"),
        sa.PrimaryKeyConstraint("period", "system", "risk_class"),
        **_STRICT,
    )


def _make_register() -> None:
    op.create_table(
        "sighting",
        *map(_text, ("system", "aspect", "value")),
        *map(_big, ("first_seq", "first_at", "last_at")),
        sa.PrimaryKeyConstraint("system", "aspect", "value"),
        **_STRICT,
    )
    op.create_table(
        "incident",
        *map(_text, ("incident_id", "unit")),
        *map(_big, ("aware_at", "opened_seq")),
        _maybe_big("closed_seq"),
        *map(_text, ("opened", "notified")),
        sa.Column("closed", sa.Text()),
        sa.PrimaryKeyConstraint("incident_id"),
        **_STRICT,
    )
    op.create_table(
        "use_case_cost", *map(_text, ("use_case", "band", "as_of")), sa.PrimaryKeyConstraint("use_case"), **_STRICT
    )
    op.create_table(
        "role_grant",
        *map(_text, ("person", "role", "unit")),
        _big("seq"),
        _text("document"),
        sa.PrimaryKeyConstraint("person", "role", "unit"),
        **_STRICT,
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _maybe_big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger())


def _small(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger(), nullable=False, autoincrement=False)
