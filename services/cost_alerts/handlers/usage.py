"""Readings and seats: what arrives on the usage topic becomes rows, charges and sums, in one transaction per batch."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from services.cost_alerts.domain.use import Profile
from services.cost_alerts.handlers.charging import (
    FINALITIES,
    MOST_CACHED,
    PURPOSES,
    UNPRICED,
    Charged,
    Charger,
    Remembered,
    Revision,
    charge,
    charge_plain,
    counted,
    makes_charges,
    quantities_of,
)
from services.cost_alerts.handlers.invoices import keep_invoices
from services.cost_alerts.handlers.repricing import reprice
from services.cost_alerts.handlers.tally import Tally
from services.cost_alerts.ports.alerts import Collections, Windows
from services.cost_alerts.ports.ledger import ChargeRow, ChargeValues, ConflictRow, OpenWork, ReadingRow, Work
from services.cost_alerts.ports.periods import InvoiceBook, Observations
from services.shared.bus import Record
from services.shared.consumer import Delivered
from services.shared.events import USAGE
from services.shared.events.usage import (
    CollectionCompleted,
    InvoiceReceived,
    Reading,
    SeatAssigned,
    SeatsObserved,
    UsageRecorded,
)
from services.shared.money import as_text
from services.shared.periods import helsinki_day
from services.shared.store import Transaction
from services.shared.store.tables import instant, micros

GROUP = "cost-alerts"

_FINALITY = {name: number for number, name in enumerate(FINALITIES)}
_PURPOSE = {name: number for number, name in enumerate(PURPOSES)}
_DIGEST_BYTES = 16
_HOUR = 3_600_000_000
"""Microseconds."""


class Item(NamedTuple):
    """A reading as it was delivered, with the digest of its name."""

    digest: bytes
    record: Record
    event: UsageRecorded


class Arrival(NamedTuple):
    """A revision with its reading's number, its profile, and the version number of the first charges it makes."""

    number: int
    item: Item
    profile: tuple[int, Profile]
    pricing: int


class _Profiles:
    """The numbers of profiles, by what a reading says of itself; emptied when the numbering changes."""

    def __init__(self) -> None:
        self._generation = -1
        self._numbers: dict[tuple[object, ...], tuple[int, Profile]] = {}

    def of(self, work: Work, items: Sequence[Item]) -> list[tuple[int, Profile]]:
        """(number, profile) of each item, in order."""
        if self._generation != work.generation or len(self._numbers) > MOST_CACHED:
            self._generation, self._numbers = work.generation, {}
        keys = [_profile_key(item.event.data) for item in items]
        found = [self._numbers.get(key) for key in keys]
        missing = {key: item.event.data for key, one, item in zip(keys, found, items, strict=True) if one is None}
        if missing:
            self._enter(work, missing)
        return [one or self._numbers[key] for key, one in zip(keys, found, strict=True)]

    def _enter(self, work: Work, missing: Mapping[tuple[object, ...], Reading]) -> None:
        profiles = [Profile.of(reading) for reading in missing.values()]
        for key, number, profile in zip(missing, work.profiles(profiles), profiles, strict=True):
            self._numbers[key] = (number, profile)


def _profile_key(reading: Reading) -> tuple[object, ...]:
    """What a reading says of itself, flat and as it was written: made and looked up for each of them."""
    consumer, dimensions = reading.consumer, reading.dimensions
    tags = consumer.tags
    return (
        reading.system,
        reading.sku,
        reading.environment,
        consumer.person,
        consumer.account,
        *reading.consumed,
        None,  # no name is None: nothing of one part can pass for another
        *dimensions,
        *dimensions.values(),
        None,
        *tags,
        *tags.values(),
    )


class UsageHandler:
    """Keeps readings, charges and rollups; see `Handler`."""

    group = GROUP
    topics = (USAGE.name,)

    def __init__(self, begin: OpenWork, seats: Observations, invoices: InvoiceBook, collections: Collections) -> None:
        self._begin = begin
        self._seats = seats
        self._invoices = invoices
        self._collections = collections
        self._charger = Charger()
        self._profiles = _Profiles()

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        readings = [Item(name_digest(event), record, event) for record, event in batch if type(event) is UsageRecorded]
        # Nearly every batch is of readings only, and is not asked three times what else it might hold.
        others = [one for one in batch if type(one.event) is not UsageRecorded] if len(readings) < len(batch) else []
        invoices = [(d.event, micros(d.record.ingest_time)) for d in others if isinstance(d.event, InvoiceReceived)]
        if readings or invoices:
            work = self._begin(tx)
            keep_invoices(self._invoices, work, invoices)
            self._charger.begin(work)
            tally = Tally(work)
            for wave in waves(readings):
                self._wave(work, wave, tally)
            tally.save()
        counts = [(d.event.data, micros(d.record.ingest_time)) for d in others if isinstance(d.event, SeatsObserved)]
        holdings = [(d.event.data, micros(d.record.ingest_time)) for d in others if isinstance(d.event, SeatAssigned)]
        self._seats.add(tx, counts, holdings)
        self._collections.completed(tx, [_window(one) for one in others if isinstance(one.event, CollectionCompleted)])

    def _wave(self, work: Work, items: Sequence[Item], tally: Tally) -> None:
        known = work.find([item.digest for item in items])
        fresh = [item for item in items if item.digest not in known] if known else items
        if fresh:
            self._add(work, fresh, tally)
        if known:
            again = [(known[item.digest], item) for item in items if item.digest in known]
            self._revise(work, again, tally)

    def _add(self, work: Work, items: Sequence[Item], tally: Tally) -> None:
        """Readings that are seen for the first time: rows, charges, sums."""
        numbers = work.enter([item.digest for item in items])
        profiles = self._profiles.of(work, items)
        arrivals = [Arrival(*parts, 0) for parts in zip(numbers, items, profiles, strict=True)]
        rows, charges = self._charged(work, arrivals, tally)
        work.add_readings(rows)
        work.add_charges(charges)

    def _charged(
        self, work: Work, arrivals: Sequence[Arrival], tally: Tally
    ) -> tuple[list[ReadingRow], list[ChargeValues]]:
        """Rows of revisions, and their charges, which are counted: by the fast lane, or one by one."""
        revisions = _revisions(work, arrivals)
        rows = [one.row for one in revisions]
        paid = [index for index, row in enumerate(rows) if makes_charges(row)]
        of_partition = Remembered(work.shard)
        shards = [of_partition[arrivals[index].item.record.partition] for index in paid]
        billed = [revisions[index] for index in paid]
        timelines = self._charger.timelines(work, billed)
        charges, left = charge_plain(billed, timelines, shards, tally)
        for place in left:
            row, _, _, quantities = billed[place]
            charged = charge(work, row, timelines[place].stretches, quantities, row.recorded_at)
            charges += charged.rows
            _count(tally, shards[place], row.day, charged)
            if charged.version != row.pricing:
                rows[paid[place]] = row._replace(pricing=charged.version)
        for row, profile, *_ in billed:
            tally.touch("usage", profile.system, row.day, row.recorded_at)
        return rows, charges

    def _revise(self, work: Work, items: Sequence[tuple[int, Item]], tally: Tally) -> None:
        """Known readings: a higher revision replaces; the same is a duplicate or a conflict; a lower one is late."""
        stored = work.readings([number for number, _ in items])
        profiles = self._profiles.of(work, [item for _, item in items])
        higher = []
        for (number, item), profile in zip(items, profiles, strict=True):
            revision = item.event.data.revision
            if revision > stored[number].revision:
                higher.append((stored[number], item, profile))
            else:
                self._compare(work, stored[number], item, profile)
        if higher:
            self._replace(work, higher, tally)

    def _compare(self, work: Work, stored: ReadingRow, item: Item, profile: tuple[int, Profile]) -> None:
        [(row, *_)] = _revisions(work, [Arrival(stored.number, item, profile, 0)])
        before = stored if row.revision == stored.revision else work.earlier(stored.number, row.revision)
        if before is None:
            work.add_late([row])
        elif not same_content(before, row):
            work.add_conflict(ConflictRow(item.event.source, row.reading_id, row.revision, row.recorded_at))

    def _replace(self, work: Work, items: Sequence[tuple[ReadingRow, Item, tuple[int, Profile]]], tally: Tally) -> None:
        since = {old.number: micros(item.record.ingest_time) for old, item, _ in items}
        shards = {old.number: work.shard(item.record.partition) for old, item, _ in items}
        # A version that the restater has not brought here yet was in force until this revision came.
        outdated = [old for old, _, _ in items if old.register_version < work.book.newest and makes_charges(old)]
        pricing = reprice(work, self._charger, outdated, tally, shards.__getitem__) if outdated else {}
        for old, _, _ in items:
            tally.touch("usage", work.profile(old.profile).system, old.day, since[old.number])
        closed = []
        for present in work.charges_after(since):
            ended = present._replace(superseded_at=max(present.recorded_at, since[present.reading]))
            closed.append(ended)
            tally.count(shards[present.reading], counted(present), -1)
            tally.count(shards[present.reading], counted(ended))
        work.close_charges(closed)
        arrivals = [
            Arrival(old.number, item, profile, pricing.get(old.number, old.pricing) + 1) for old, item, profile in items
        ]
        fresh, charges = self._charged(work, arrivals, tally)
        work.replace_readings([old for old, _, _ in items], fresh)
        work.add_charges(charges)


def _revisions(work: Work, arrivals: Sequence[Arrival]) -> list[Revision]:
    """Revisions as the ledger keeps them, in order."""
    sources, newest = Remembered(work.word), work.book.newest
    return [
        _revision(sources[item.event.source], newest, number, item, profile, pricing)
        for number, item, profile, pricing in arrivals
    ]


def _revision(  # noqa: PLR0917  # one call per reading: keywords would cost a third of it
    source: int, register_version: int, number: int, item: Item, profile: tuple[int, Profile], pricing: int
) -> Revision:
    reading = item.event.data
    start, cost, consumed = reading.charge_period_start, reading.reported_cost, reading.consumed
    quantities = [consumed[meter] for meter in profile[1].meters]
    starts_at = micros(start)
    row = ReadingRow(
        number,
        source,
        reading.reading_id,
        reading.revision,
        micros(item.record.ingest_time),
        starts_at,
        micros(reading.charge_period_end),
        _day_of_hour(starts_at // _HOUR),
        profile[0],
        " ".join(map(str, quantities)),
        None if cost is None else as_text(cost.amount),
        None if cost is None else cost.currency,
        _FINALITY[reading.finality],
        _PURPOSE[reading.purpose],
        int(reading.retracted),
        pricing,
        register_version,
    )
    return Revision(row, profile[1], start, quantities)


@lru_cache(maxsize=16_384)
def _day_of_hour(hour: int) -> int:
    """The Helsinki day (ordinal) of an hour (UTC, counted from 1970): clocks differ there by whole hours."""
    return helsinki_day(instant(hour * _HOUR)).toordinal()


def _window(told: Delivered) -> Windows:
    assert isinstance(told.event, CollectionCompleted), "the caller has looked"
    day = helsinki_day(told.record.ingest_time)
    return Windows(told.event.data.source_name, told.event.source, day.toordinal())


def name_digest(event: UsageRecorded) -> bytes:
    """What names a reading, in 16 bytes."""
    return reading_digest(event.source, event.data.reading_id)


def reading_digest(source: str, reading_id: str) -> bytes:
    """Source and id, neither of which holds a control character, in 16 bytes."""
    return blake2b(f"{source}\x1f{reading_id}".encode(), digest_size=_DIGEST_BYTES).digest()


def same_content(left: ReadingRow, right: ReadingRow) -> bool:
    """Whether two rows say the same of a reading; quantities and costs as numbers, however they are written."""
    return (
        left[5:9] == right[5:9]
        and left.cost_currency == right.cost_currency
        and left[12:15] == right[12:15]
        and quantities_of(left) == quantities_of(right)
        and _number(left.cost) == _number(right.cost)
    )


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def waves(items: Sequence[Item]) -> Sequence[Sequence[Item]]:
    """The items in runs that name each reading once; a reading's items stay in their order."""
    if items and len({item.digest for item in items}) == len(items):
        return [items]
    found: list[list[Item]] = []
    seen: dict[bytes, int] = {}
    for item in items:
        number = seen.get(item.digest, 0)
        seen[item.digest] = number + 1
        if number == len(found):
            found.append([])
        found[number].append(item)
    return found


def _count(tally: Tally, shard: int, day: int, charged: Charged) -> None:
    """Add charges that have become current to the rollups, and late ones to the books of an open month."""
    if day < tally.open_from:
        for values in charged.rows:
            tally.count_late(shard, counted(ChargeRow(*values)))
    for basis, nano, eur_nano, lead in charged.current:
        total = tally.totals[shard, basis]
        if eur_nano is not None:
            total[0] += eur_nano
        if nano is not None:
            total[1] += nano
        total[2] += 1
        if lead:
            total[3] += 1
            total[4] += lead == UNPRICED
