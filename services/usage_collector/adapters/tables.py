"""The collector's tables: people, what was told (revisions), where each source stands."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, MetaData, Table, Text

from services.shared.store.tables import STRICT, UtcMicros, add_common_tables

METADATA = MetaData()
COMMON = add_common_tables(METADATA)

PERSON = Table(
    "person",
    METADATA,
    Column("pseudonym", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("sealed_identity", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
"""`key_id` names the person's row where neither identity nor pseudonym may stand: in what is said of its erasure."""

ERASURE = Table(
    "erasure",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("erased_at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
"""Persons that are no longer here. A row that a backup brings back is erased again."""

PERSON_LINK = Table(
    "person_link",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("pseudonym", Text, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
Index("person_link_pseudonym", PERSON_LINK.c.pseudonym)
PERSON_JOINED = Table(
    "person_joined",
    METADATA,
    Column("old", Text, primary_key=True),
    Column("new", Text, nullable=False),
    Column("joined_at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
Index("person_joined_new", PERSON_JOINED.c.new)
KEY_CHECK = Table(
    "key_check",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
TOLD = Table(
    "told",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("starts_at", UtcMicros, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
Index("told_by_time", TOLD.c.source, TOLD.c.kind, TOLD.c.starts_at)
SOURCE = Table(
    "source",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("cursor", Text, nullable=False),
    Column("read_to", UtcMicros, nullable=False),
    Column("succeeded_at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
SOURCE_DAY = Table(
    "source_day",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("complete", Boolean, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
