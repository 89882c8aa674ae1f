"""The log's tables.

Primary data, append-only, guarded by triggers: `APPEND_ONLY`. Derived, made again from the entries: what `REVIEWS` and
`SEARCH` list, and `hold`. `decision` keeps what was decided, so that it is decided once; `anchor_state` how the anchors
are doing now.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.shared.store.names import NameIndex
from services.shared.store.rights import only
from services.shared.store.tables import STRICT, UtcMicros, add_common_tables

METADATA = MetaData()
add_common_tables(METADATA)

head = Table(
    "head",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    **STRICT,
)
"""One row: how many entries there are, and the right edge of the tree. Whoever appends locks it."""

source_partition = Table(
    "source_partition",
    METADATA,
    Column("ref", Integer, primary_key=True, autoincrement=False),
    Column("cluster", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    UniqueConstraint("cluster", "topic", "partition"),
    **STRICT,
)

entry = Table(
    "entry",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("source_ref", Integer, nullable=False),
    Column("source_offset", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("source_ref", "source_offset"),
    **STRICT,
)
"""`seq` counts from 0 without gaps and is assigned under the lock of `head`; `body` is what is hashed."""

names = NameIndex("entry_name", METADATA)
"""Digest of (source, id) → the first entry of that name."""

conflict = Table(
    "conflict",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("first_seq", BigInteger, nullable=False),
    **STRICT,
)
Index("conflict_first", conflict.c.first_seq)
"""Entries that say something else under the (source, id) of an earlier entry."""

tile = Table(
    "tile",
    METADATA,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    **STRICT,
)
"""Full tiles only; the partial ones are the edge in `head`."""

checkpoint = Table(
    "checkpoint",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),
    Column("signed_at", UtcMicros, nullable=False),
    **STRICT,
)

case_file = Table(
    "case_file",
    METADATA,
    Column("output_id", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("use_case", Text, nullable=False),
    Column("risk_class", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("waits", SmallInteger, nullable=False),
    Column("generated_at", UtcMicros),
    Column("due_at", UtcMicros),
    Column("next_look", UtcMicros),
    Column("content_hash", Text),
    **STRICT,
)
"""What the log says about an output. `waits`: 1 while a person must still review it. Texts are empty where nothing is
known. `next_look`: when time alone may change what it is."""
Index("case_file_next_look", case_file.c.next_look)
Index("case_file_state", case_file.c.state, case_file.c.system)
_WAITS = text("waits = 1")
Index(
    "case_file_queue",
    *(case_file.c[name] for name in ("due_at", "output_id", "unit", "use_case", "risk_class", "system", "state")),
    sqlite_where=_WAITS,
    postgresql_where=_WAITS,
)
"""What waits for a person, in the order of its due times, with all that a queue is filtered by: walked, never sorted.
"""
Index("case_file_generated", case_file.c.generated_at, case_file.c.output_id)
Index(
    "case_file_uses",
    case_file.c.use_case,
    case_file.c.unit,
    case_file.c.state,
    case_file.c.system,
    case_file.c.risk_class,
    case_file.c.due_at,
    case_file.c.generated_at,
)
"""What is counted of outputs: without it every count would read all their documents."""
Index("case_file_content", case_file.c.content_hash)

finding = Table(
    "finding",
    METADATA,
    Column("finding_id", Text, primary_key=True),
    Column("output_id", Text),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("use_case", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("detected_at", UtcMicros, nullable=False),
    Column("opened_seq", BigInteger, nullable=False),
    Column("closed_seq", BigInteger),
    Column("opened", Text, nullable=False),
    Column("closed", Text),
    **STRICT,
)
"""`opened`, `closed`: the data of the two events. `output_id` null: about a use case, a system or an incident."""
Index("finding_output", finding.c.output_id)
Index("finding_kind", finding.c.kind, finding.c.unit)
Index("finding_seq", finding.c.opened_seq)

register_staged = Table(
    "register_staged",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("fact_id", Text, primary_key=True),
    Column("document", Text),
    **STRICT,
)

register_fact = Table(
    "register_fact",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("fact_id", Text, primary_key=True),
    Column("document", Text, nullable=False),
    **STRICT,
)

joined = Table(
    "joined",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("old", Text, primary_key=True),
    Column("new", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    **STRICT,
)
"""Names that became one: `kind` is `person` or `case`."""

sample_period = Table(
    "sample_period",
    METADATA,
    Column("period", Text, primary_key=True),
    Column("first_day", Text, nullable=False),
    Column("last_day", Text, nullable=False),
    Column("commitment", Text, nullable=False),
    Column("committed_at", UtcMicros, nullable=False),
    Column("committed_seq", BigInteger, nullable=False),
    Column("salt", Text),
    Column("revealed_seq", BigInteger),
    **STRICT,
)
"""Periods whose draws are fixed; `salt` (hex) once it is revealed."""

sample_draw = Table(
    "sample_draw",
    METADATA,
    Column("period", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("risk_class", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    **STRICT,
)
"""What was drawn after a period's end because its hashes drew too few; `document`: the data of the event."""

sighting = Table(
    "sighting",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("aspect", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("first_at", UtcMicros, nullable=False),
    Column("last_at", UtcMicros, nullable=False),
    **STRICT,
)
"""What was seen in use, kept beside the index: `aspect` is `system`, `model`, `agent`, `feature` or `region`.
`first_at` is an hour, `last_at` the beginning of a Helsinki day."""

incident = Table(
    "incident",
    METADATA,
    Column("incident_id", Text, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("aware_at", UtcMicros, nullable=False),
    Column("opened_seq", BigInteger, nullable=False),
    Column("closed_seq", BigInteger),
    Column("opened", Text, nullable=False),
    Column("notified", Text, nullable=False),
    Column("closed", Text),
    **STRICT,
)
"""`opened`, `closed`: the data of the events; `notified`: a list of those of the notifications."""

use_case_cost = Table(
    "use_case_cost",
    METADATA,
    Column("use_case", Text, primary_key=True),
    Column("band", Text, nullable=False),
    Column("as_of", Text, nullable=False),
    **STRICT,
)

role_grant = Table(
    "role_grant",
    METADATA,
    Column("person", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    **STRICT,
)
"""The roles that the log says people have; `unit` empty: everywhere."""

refold = Table("refold", METADATA, Column("id", SmallInteger, primary_key=True, autoincrement=False), **STRICT)
"""A row while the projections must be made again from the entries, because a newer program changed them."""

decision = Table(
    "decision",
    METADATA,
    Column("message_id", Text, primary_key=True),
    Column("decided_at", UtcMicros, nullable=False),
    **STRICT,
)

receipt = Table(
    "receipt",
    METADATA,
    Column("anchor", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("receipt", LargeBinary, nullable=False),
    Column("anchored_at", UtcMicros, nullable=False),
    **STRICT,
)
"""What an anchor gave us for the checkpoint of `size` entries, as it came."""

anchor_state = Table(
    "anchor_state",
    METADATA,
    Column("anchor", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("tried_at", UtcMicros, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("refusal", Text, nullable=False),
    Column("problem", Text, nullable=False),
    **STRICT,
)
"""How the newest try to reach an anchor ended: `failures` in a row, the `refusal`'s reason or "", the `problem` in a
sentence or ""."""

facet = Table(
    "facet",
    METADATA,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
    **STRICT,
)
"""Which entries have a property: `key` is 63 bits of a hash of (kind, value), so that two properties may share one.
Who finds an entry here looks into the entry itself before believing it."""

time_block = Table(
    "time_block",
    METADATA,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("first_time", UtcMicros, nullable=False),
    Column("last_time", UtcMicros, nullable=False),
    **STRICT,
)
"""Block of 1,024 neighbouring entries → the earliest and the latest ingest time in it (partitions interleave)."""

event_source = Table("event_source", METADATA, Column("source", Text, primary_key=True), **STRICT)
"""Every CloudEvents source that entries have: with one of them an event's id is found in the name index."""

indexed = Table(
    "indexed",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    **STRICT,
)
"""One row: of how many entries the tables of the search tell."""

pruning = Table(
    "pruning",
    METADATA,
    Column("before", BigInteger, primary_key=True, autoincrement=False),
    Column("pruned_at", UtcMicros, nullable=False),
    Column("export_size", BigInteger, nullable=False),
    Column("export_root", Text, nullable=False),
    **STRICT,
)
"""Each time that entries were pruned: those with an index under the largest `before` may be gone, their hashes never.
`export_size`, `export_root` (hex): of the export that was verified first."""

hold = Table(
    "hold",
    METADATA,
    Column("hold_id", Text, primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger),
    Column("document", Text, nullable=False),
    Column("placed_seq", BigInteger),
    Column("released_seq", BigInteger),
    **STRICT,
)
"""Legal holds. `placed_seq`, `released_seq`: the entries that say so; a hold whose entry is still on its way to the log
(None) holds already, one whose release is on its way still holds."""

APPEND_ONLY = (entry, tile, checkpoint, conflict, receipt, pruning)
REVIEWS = (
    case_file, finding, register_staged, register_fact, joined, sample_period, sample_draw, incident,
    use_case_cost, role_grant,
)  # fmt: skip
"""What the entries are folded into: reviews and what they need, incidents, roles."""
SEARCH = (facet, time_block, event_source, sighting, indexed)
"""What is read from the entries in the background: what queries find them by, and what they show to be in use."""
DERIVED = (*REVIEWS, *SEARCH, hold)

only("SELECT", "INSERT", of=(*APPEND_ONLY, source_partition, decision, names.archive))
only("SELECT", "UPDATE", of=(head, indexed))
only("SELECT", of=(pruning,))
