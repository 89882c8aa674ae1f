"""The tables of accounts: neither a name nor an address stands in them, only pseudonyms and keyed hashes."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, Table, Text

from services.shared.store.tables import STRICT, UtcMicros, add_common_tables

METADATA = MetaData()
COMMON = add_common_tables(METADATA)

account = Table(
    "account",
    METADATA,
    Column("person", Text, primary_key=True),
    Column("password", Text),
    Column("one_time_until", UtcMicros),
    Column("held", Text, nullable=False),
    Column("disabled_at", UtcMicros),
    Column("made_at", UtcMicros, nullable=False),
    Column("changed_at", UtcMicros, nullable=False),
    Column("seal", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
"""`password`: its argon2id hash; none: only the city's directory lets this person in. `seal`: see `sealing.py`."""

session = Table(
    "session",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("person", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("made_at", UtcMicros, nullable=False),
    Column("seen_at", UtcMicros, nullable=False),
    Column("expires_at", UtcMicros, nullable=False),
    Column("form_token", Text, nullable=False),
    Column("seal", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
"""`digest`: SHA-256 of the cookie's token, which stands nowhere."""
Index("session_person", session.c.person)

attempt = Table(
    "attempt",
    METADATA,
    Column("whose", LargeBinary, primary_key=True),
    Column("failures", BigInteger, nullable=False),
    Column("until", UtcMicros, nullable=False),
    Column("last_at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
"""`whose`: keyed hash of a login or of an address that signed in wrongly."""

key_check = Table(
    "key_check",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    **STRICT,
)
