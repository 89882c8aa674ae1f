"""Readings and seats: what arrives on the usage topic becomes rows, charges and sums, in one transaction per batch."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import NamedTuple

from services.cost_alerts.domain.use import Profile
from services.cost_alerts.handlers.charging import (
    FINALITIES,
    MOST_CACHED,
    PURPOSES,
    UNPRICED,
    Addition,
    Charger,
    Revision,
    counted,
    makes_charges,
    quantities_of,
)
from services.cost_alerts.handlers.invoices import keep_invoices
from services.cost_alerts.handlers.repricing import reprice
from services.cost_alerts.handlers.tally import Tally
from services.cost_alerts.ports import (
    ChargeRow,
    ChargeValues,
    ConflictRow,
    InvoiceBook,
    Observations,
    OpenWork,
    ReadingRow,
    Work,
)
from services.shared.bus import Record
from services.shared.consumer import Delivered
from services.shared.events import USAGE
from services.shared.events.usage import InvoiceReceived, Reading, SeatAssigned, SeatsObserved, UsageRecorded
from services.shared.money import as_text
from services.shared.periods import helsinki_day
from services.shared.store import Transaction
from services.shared.store.tables import micros

GROUP = "cost-alerts"

_FINALITY = {name: number for number, name in enumerate(FINALITIES)}
_PURPOSE = {name: number for number, name in enumerate(PURPOSES)}
_DIGEST_BYTES = 16


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
        missing = {key: item.event.data for key, item in zip(keys, items, strict=True) if key not in self._numbers}
        profiles = [Profile.of(reading) for reading in missing.values()]
        for key, number, profile in zip(missing, work.profiles(profiles), profiles, strict=True):
            self._numbers[key] = (number, profile)
        return [self._numbers[key] for key in keys]


def _profile_key(reading: Reading) -> tuple[object, ...]:
    consumer = reading.consumer
    return (
        reading.system,
        reading.sku,
        tuple(reading.consumed),
        tuple(reading.dimensions.items()),
        consumer.person,
        consumer.account,
        tuple(consumer.tags.items()),
        reading.environment,
    )


class UsageHandler:
    """Keeps readings, charges and rollups; see `Handler`."""

    group = GROUP
    topics = (USAGE.name,)

    def __init__(self, begin: OpenWork, seats: Observations, invoices: InvoiceBook) -> None:
        self._begin = begin
        self._seats = seats
        self._invoices = invoices
        self._charger = Charger()
        self._profiles = _Profiles()

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        readings = [Item(name_digest(d.event), d.record, d.event) for d in batch if isinstance(d.event, UsageRecorded)]
        invoices = [(d.event, micros(d.record.ingest_time)) for d in batch if isinstance(d.event, InvoiceReceived)]
        if readings or invoices:
            work = self._begin(tx)
            keep_invoices(self._invoices, work, invoices)
            self._charger.begin(work)
            tally = Tally(work)
            for wave in waves(readings):
                self._wave(work, wave, tally)
            tally.save()
        counts = [(d.event.data, micros(d.record.ingest_time)) for d in batch if isinstance(d.event, SeatsObserved)]
        holdings = [(d.event.data, micros(d.record.ingest_time)) for d in batch if isinstance(d.event, SeatAssigned)]
        self._seats.add(tx, counts, holdings)

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
        """Rows of revisions, and their charges, which are counted."""
        rows = _rows(work, arrivals)
        paid = [index for index, row in enumerate(rows) if makes_charges(row)]
        made = self._charger.first(work, [_revision(rows[index], arrivals[index]) for index in paid])
        charges: list[ChargeValues] = []
        for index, charged in zip(paid, made, strict=True):
            charges += charged.rows
            row, item = rows[index], arrivals[index].item
            shard = work.shard(item.record.partition)
            _add_current(tally, shard, charged.current)
            tally.touch("usage", item.event.data.system, row.day, row.recorded_at)
            if row.day < tally.open_from:
                for charge in charged.rows:
                    tally.count_late(shard, counted(ChargeRow(*charge)))
            if charged.version != rows[index].pricing:
                rows[index] = rows[index]._replace(pricing=charged.version)
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
        [row] = _rows(work, [Arrival(stored.number, item, profile, 0)])
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
        for charge in work.charges_after(since):
            ended = charge._replace(superseded_at=max(charge.recorded_at, since[charge.reading]))
            closed.append(ended)
            tally.count(shards[charge.reading], counted(charge), -1)
            tally.count(shards[charge.reading], counted(ended))
        work.close_charges(closed)
        arrivals = [
            Arrival(old.number, item, profile, pricing.get(old.number, old.pricing) + 1) for old, item, profile in items
        ]
        fresh, charges = self._charged(work, arrivals, tally)
        work.replace_readings([old for old, _, _ in items], fresh)
        work.add_charges(charges)


def _rows(work: Work, arrivals: Sequence[Arrival]) -> list[ReadingRow]:
    """Revisions as the ledger keeps them, in order."""
    sources = {source: work.word(source) for source in {arrival.item.event.source for arrival in arrivals}}
    newest = work.book.newest
    return [
        _row(sources[item.event.source], number, item, profile, pricing, newest)
        for number, item, profile, pricing in arrivals
    ]


def _row(  # noqa: PLR0917  # one call per reading: keywords would cost a third of it
    source: int, number: int, item: Item, profile: tuple[int, Profile], pricing: int, register_version: int
) -> ReadingRow:
    reading = item.event.data
    start, cost, consumed = reading.charge_period_start, reading.reported_cost, reading.consumed
    return ReadingRow(
        number,
        source,
        reading.reading_id,
        reading.revision,
        micros(item.record.ingest_time),
        micros(start),
        micros(reading.charge_period_end),
        helsinki_day(start).toordinal(),
        profile[0],
        " ".join([str(consumed[meter]) for meter in profile[1].meters]),
        None if cost is None else as_text(cost.amount),
        None if cost is None else cost.currency,
        _FINALITY[reading.finality],
        _PURPOSE[reading.purpose],
        int(reading.retracted),
        pricing,
        register_version,
    )


def _revision(row: ReadingRow, arrival: Arrival) -> Revision:
    reading, profile = arrival.item.event.data, arrival.profile[1]
    consumed = reading.consumed
    return Revision(row, profile, reading.charge_period_start, [consumed[meter] for meter in profile.meters])


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


def waves(items: Iterable[Item]) -> list[list[Item]]:
    """The items in runs that name each reading once; a reading's items stay in their order."""
    found: list[list[Item]] = []
    seen: dict[bytes, int] = {}
    for item in items:
        number = seen.get(item.digest, 0)
        seen[item.digest] = number + 1
        if number == len(found):
            found.append([])
        found[number].append(item)
    return found


def _add_current(tally: Tally, shard: int, current: Iterable[Addition]) -> None:
    """Add charges that have become current to the rollups."""
    for basis, nano, eur_nano, lead in current:
        total = tally.sums(shard, basis)
        if eur_nano is not None:
            total[0] += eur_nano
        if nano is not None:
            total[1] += nano
        total[2] += 1
        if lead:
            total[3] += 1
            total[4] += lead == UNPRICED
