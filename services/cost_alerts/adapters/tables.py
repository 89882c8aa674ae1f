"""The ledger's tables. Repeated texts stand once (`word`, `profile`, `basis`), so that the long tables are narrow.

`reading` and `charge` grow by appending in the order of their numbers, which keeps the rate of a small ledger when it
is large. Days are proleptic ordinals (`date.toordinal`), instants microseconds since 1970 UTC, money 10⁻⁹ units.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from services.shared.store.names import NameIndex
from services.shared.store.tables import STRICT, add_common_tables

METADATA = MetaData()

add_common_tables(METADATA)

NAMES = NameIndex("reading_name", METADATA)
"""Which readings are known: digest of (source, reading id) → number."""

SMALL: dict[str, Any] = {**STRICT, "sqlite_with_rowid": False}
"""Of a table that is kept in the order of its key, without a row number."""

WORD = Table(
    "word",
    METADATA,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("text", Text, nullable=False, unique=True),
    **STRICT,
)
"""Sources, systems, SKUs, meters and units, by number."""

PROFILE = Table(
    "profile",
    METADATA,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("system", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    **STRICT,
)
"""What repeats among readings: system, SKU, meters, dimensions, consumer, environment."""

BASIS = Table(
    "basis",
    METADATA,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("day", Integer, nullable=False),
    Column("unit", BigInteger, nullable=False),
    Column("system", BigInteger, nullable=False),
    Column("sku", BigInteger, nullable=False),
    Column("meter", BigInteger, nullable=False),
    Column("category", Text, nullable=False),
    Column("estimated", SmallInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("register_version", Integer, nullable=False),
    Column("rule", Text),
    Column("tariff", Text),
    Column("tariff_version", Integer),
    Column("nano_per_unit", Text),
    Column("rate", Text),
    Column("rate_day", Integer),
    Column("reason", Text),
    Column("cost_centre", BigInteger, nullable=False),
    Column("project", BigInteger, nullable=False),
    Column("vat_rate", Text, nullable=False),
    Column("list_per_unit", Text),
    Column("credit_tariff", Text),
    Column("credit_tariff_version", Integer),
    Column("agreement", Text),
    **STRICT,
)
"""What charges of a day have in common: who pays, by which rule, tariff and rate, or why there is no price.

`cost_centre` and `project` are words, the empty one where there is none; so is an unknown `vat_rate`.
"""

READING = Table(
    "reading",
    METADATA,
    Column("number", BigInteger, Identity(always=False), primary_key=True),
    Column("source", BigInteger, nullable=False),
    Column("reading_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    Column("profile", BigInteger, nullable=False),
    Column("quantities", Text, nullable=False),
    Column("cost", Text),
    Column("cost_currency", Text),
    Column("finality", SmallInteger, nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("retracted", SmallInteger, nullable=False),
    Column("pricing", Integer, nullable=False),
    Column("register_version", Integer, nullable=False),
    **STRICT,
)
"""The revision of each reading that stands, with the version of its charges and of the register they were made by."""

Index("reading_day", READING.c.day, READING.c.profile)

READING_HISTORY = Table(
    "reading_history",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    *(
        Column(name, READING.c[name].type, nullable=READING.c[name].nullable)
        for name in ("recorded_at", "starts_at", "ends_at", "day", "profile", "quantities", "cost", "cost_currency")
    ),
    *(Column(name, SmallInteger, nullable=False) for name in ("finality", "purpose", "retracted")),
    **SMALL,
)
"""Revisions that were replaced, or came too late to count."""

Index("reading_history_day", READING_HISTORY.c.day, READING_HISTORY.c.profile)

READING_CONFLICT = Table(
    "reading_conflict",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("reading_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("recorded_at", BigInteger),
    Column("told", SmallInteger, nullable=False),
    **SMALL,
)
"""Revisions that came with two contents; the first stands. Without `recorded_at`: known from the outcomes only."""

CHARGE = Table(
    "charge",
    METADATA,
    Column("reading", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("basis", BigInteger, primary_key=True, autoincrement=False),
    Column("nano", BigInteger),
    Column("eur_nano", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    Column("superseded_at", BigInteger),
    Column("lead", SmallInteger, nullable=False),
    **SMALL,
)
"""One per reading, meter and version, for good; a later version closes it by `superseded_at`.

`lead` is 1 on one charge of each version, 2 when any meter of that version is unpriced, 0 on the others: counting
leads counts readings.
"""

SUMS = ("eur_nano", "nano", "charges", "readings", "unpriced")
PLACE = ("day", "unit", "system", "sku", "meter", "category", "currency", "estimated")
"""Where a charge counts."""
BOOKS = ("cost_centre", "project", "vat_rate")
"""How bookkeeping tells charges of one place apart."""
ROLLUP_KEY = (*PLACE, *BOOKS, "shard")


def _sums() -> list[Column[Any]]:
    """The key of a rollup and what it sums."""
    whole = {"day": Integer, "estimated": SmallInteger, "shard": Integer}
    texts = {"category", "currency", "vat_rate"}
    return [
        *(
            Column(name, Text if name in texts else whole.get(name, BigInteger), primary_key=True, autoincrement=False)
            for name in ROLLUP_KEY
        ),
        *(Column(name, BigInteger, nullable=False) for name in SUMS),
    ]


ROLLUP = Table("rollup", METADATA, *_sums(), **SMALL)
"""Sums of the current charges. Shards (of partitions, on PostgreSQL) let consumers add without waiting."""

ADJUSTMENT = Table(
    "adjustment",
    METADATA,
    Column("booked_in", Integer, primary_key=True, autoincrement=False),
    *_sums(),
    **SMALL,
)
"""What changed in closed months after their cut-off, by the open month (year × 12 + month − 1) that books it.

A closed month as booked is its rollups less its adjustments, plus what it books for earlier months.
"""

BUDGET_USE = Table(
    "budget_use",
    METADATA,
    Column("budget", Text, primary_key=True),
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("eur_nano", BigInteger, nullable=False),
    **SMALL,
)
"""What counts towards each budget of the newest register version."""

REGISTER_STATE = Table(
    "register_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("closings", Integer, nullable=False),
    **STRICT,
)
"""One row: the newest register version, and how many months are closed.

Who prices holds it shared; who applies a version or closes a month holds it alone.
"""

REGISTER_VERSION = Table(
    "register_version",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("published_at", BigInteger, nullable=False),
    Column("author", Text),
    Column("approver", Text),
    Column("reason", Text),
    **STRICT,
)

REGISTER_FACT = Table(
    "register_fact",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("fact_id", Text, primary_key=True),
    Column("since", Integer, primary_key=True, autoincrement=False),
    Column("until", Integer),
    Column("body", Text, nullable=False),
    **SMALL,
)
"""Facts of every register version, from `since` (inclusive) to `until` (exclusive; null: still in force)."""

REGISTER_STAGED = Table(
    "register_staged",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("fact_id", Text, primary_key=True),
    Column("body", Text),
    **SMALL,
)
"""Facts that wait for a marker, the last word on each; a null body says that the fact is gone."""

RESTATEMENT = Table(
    "restatement",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("since", Integer, nullable=False),
    Column("done_to", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("readings", BigInteger, nullable=False),
    Column("finished", SmallInteger, nullable=False),
    Column("announced", SmallInteger, nullable=False),
    **STRICT,
)
"""A walk over the readings up to `last` after the register became `version`; `done_to` is where it stands."""

RESTATED = Table(
    "restated",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("unit", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("before_nano", BigInteger, nullable=False),
    Column("after_nano", BigInteger, nullable=False),
    **SMALL,
)
"""What a restatement changed, in 10⁻⁹ euro, by unit and day."""

SEAT_COUNT = Table(
    "seat_count",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("observed_on", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("purchased", BigInteger, nullable=False),
    Column("assigned", BigInteger, nullable=False),
    Column("active", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    **SMALL,
)

SEAT_HOLDING = Table(
    "seat_holding",
    METADATA,
    Column("system", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("assigned_on", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("released_on", Integer),
    Column("last_active_on", Integer),
    Column("recorded_at", BigInteger, nullable=False),
    **SMALL,
)

DAY = Table(
    "day",
    METADATA,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("recorded_at", BigInteger, nullable=False),
    **SMALL,
)
"""Helsinki days that have begun, as the outcomes tell: what is charged by time alone is charged up to the last."""

INVOICE = Table(
    "invoice",
    METADATA,
    Column("vendor", Text, primary_key=True),
    Column("invoice_id", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("month", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    **SMALL,
)
"""Invoices as they came; of one revision the first counts. `month` is year × 12 + month − 1."""

CLOSING = Table(
    "closing",
    METADATA,
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("cut_off", BigInteger, nullable=False),
    Column("closed_by", Text),
    **SMALL,
)
"""Closed months (year × 12 + month − 1): what is recorded after `cut_off` is booked in an open month."""

PERIOD_DIRTY = Table(
    "period_dirty",
    METADATA,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("about", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("first_day", Integer, nullable=False),
    Column("last_day", Integer, nullable=False),
    Column("recorded_from", BigInteger, nullable=False),
    **STRICT,
)
"""Days of a system whose per-period charges must be made again, as known from `recorded_from` on."""

PERIOD_CHARGE = Table(
    "period_charge",
    METADATA,
    Column("agreement", Text, primary_key=True),
    Column("cycle", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("recorded_at", BigInteger, primary_key=True, autoincrement=False),
    Column("basis", BigInteger, primary_key=True, autoincrement=False),
    Column("quantity", Text, nullable=False),
    Column("nano", BigInteger),
    Column("eur_nano", BigInteger),
    Column("list_nano", BigInteger),
    Column("superseded_at", BigInteger),
    **SMALL,
)
"""Charges of seats, pools, monthly tiers, minimums, fees and invoices, by agreement, cycle and day, with their history.

`cycle` is the instant at which it begins. `list_nano`: the list price of what was used, in the pricing currency.
"""

CHARGE_UNSENT = Table(
    "charge_unsent",
    METADATA,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("reading", BigInteger),
    Column("agreement", Text),
    Column("cycle", BigInteger),
    **STRICT,
)
"""Whose charges changed since they were published: a reading, or a cycle of an agreement."""

CHARGE_SENT = Table(
    "charge_sent",
    METADATA,
    Column("agreement", Text, primary_key=True),
    Column("cycle", BigInteger, primary_key=True, autoincrement=False),
    Column("charge_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("digest", LargeBinary),
    **SMALL,
)
"""What readers outside were told of agreements' charges. Without a digest: that the charge is no more.

Kept when the ledger is rebuilt, so that versions rise for good and nothing that stands is told again.
"""

POSTING = Table(
    "posting",
    METADATA,
    Column("batch", Text, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("month", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    **SMALL,
)
"""What was handed to bookkeeping, as the outcomes tell it. Kept when the ledger is rebuilt."""

CROSSING = Table(
    "crossing",
    METADATA,
    Column("id", Text, nullable=False),
    Column("budget", Text, nullable=False),
    Column("period", Integer, nullable=False),
    Column("threshold", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("measure", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="crossing_key"),  # its table of before had the usual name
    **SMALL,
)
"""Thresholds that were passed and told, decided here or read from the outcomes. Kept when the ledger is rebuilt."""

RECEDING = Table(
    "receding",
    METADATA,
    Column("budget", Text, primary_key=True),
    Column("period", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    **SMALL,
)
"""Epochs that a correction ended, decided here or read from the outcomes. Kept when the ledger is rebuilt."""

ALERT = Table(
    "alert",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("body", Text),
    Column("raised_at", BigInteger),
    Column("resolved_at", BigInteger),
    **SMALL,
)
"""Conditions that were told, raised here or read from the outcomes; a resolving may come before its raising.

Kept when the ledger is rebuilt.
"""

Index(
    "alert_open",
    ALERT.c.raised_at,
    sqlite_where=ALERT.c.resolved_at.is_(None),
    postgresql_where=ALERT.c.resolved_at.is_(None),
)

ACKNOWLEDGED = Table(
    "acknowledged",
    METADATA,
    Column("alert", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    **SMALL,
)
"""Who acknowledged a crossing or an alert first. Kept when the ledger is rebuilt."""

COLLECTED = Table(
    "collected",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("told_on", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    **SMALL,
)
"""Sources that told on a Helsinki day that a window is complete, and the `source` of their events."""

FORECAST = Table(
    "forecast",
    METADATA,
    Column("made_on", Integer, primary_key=True, autoincrement=False),
    Column("level", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("first_day", Integer, primary_key=True, autoincrement=False),
    Column("last_day", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    **SMALL,
)
"""What was forecast on a Helsinki day for a month or a year of a unit, system, budget, pool or the city.

The last one of a day stands. Kept when the ledger is rebuilt: nobody can forecast the past again without knowing it.
"""

FORECAST_TEST = Table(
    "forecast_test",
    METADATA,
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("level", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
    **SMALL,
)
"""How good the forecast would have been, as tested anew each month (year × 12 + month − 1): error and coverage."""

USE_CASE_COST = Table(
    "use_case_cost",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("use_case", Text, nullable=False),
    Column("as_of", Integer, nullable=False),
    Column("band", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    **SMALL,
)
"""Bands of cost that were told, decided here or read from the outcomes. Kept when the ledger is rebuilt."""

FINDING = Table(
    "finding",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text),
    Column("system", Text),
    Column("unit", Text),
    Column("output_id", Text, nullable=False),
    Column("opened_at", BigInteger),
    Column("closed_at", BigInteger),
    **SMALL,
)
"""Findings as the outcomes tell them; a closing may come before its opening."""

Index(
    "finding_open",
    FINDING.c.unit,
    sqlite_where=FINDING.c.closed_at.is_(None),
    postgresql_where=FINDING.c.closed_at.is_(None),
)
