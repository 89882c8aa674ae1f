"""From a reading to its charges, along the register versions; prices are made ready once per use, not per row."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

from services.cost_alerts.domain.pricing import (
    TOO_LARGE,
    Amounts,
    Line,
    Pricer,
    Ratio,
    is_possible,
    most_possible,
    rounded,
)
from services.cost_alerts.domain.timeline import Stretch, likeness, timeline
from services.cost_alerts.domain.use import Profile, Sizes, Use
from services.cost_alerts.handlers.tally import Counted, Tally
from services.cost_alerts.ports.ledger import Basis, ChargeRow, ChargeValues, ReadingRow, Sums, Work
from services.shared.money import as_text
from services.shared.store.tables import instant, micros

PURPOSES = ("billing", "attribution", "telemetry")
FINALITIES = ("estimate", "provisional", "final")
BILLING = PURPOSES.index("billing")
FINAL = FINALITIES.index("final")

MOST_CACHED = 100_000
"""Uses whose prices are kept ready in memory; then the memory is emptied and fills again."""

NO_LEAD, PRICED, UNPRICED = range(3)
"""`lead` of a charge: not the one that counts its reading, counts it as priced, counts it as unpriced."""


class Ready(NamedTuple):
    """A line ready to charge with: its amounts for a quantity, its basis number, whether it lacks a price."""

    amounts: Callable[[Decimal], Amounts]
    basis: int
    is_unpriced: bool
    of_reading: bool


class ReadyStretch(NamedTuple):
    """A stretch of a timeline with numbers; `since` in microseconds, 0 for the first."""

    since: int
    lines: tuple[Ready, ...]
    of_reading: bool


class Plain(NamedTuple):
    """Of each meter its basis, and what a unit costs in 10⁻⁹ of the pricing currency and of a euro.

    `most`: up to so many whole units of each meter, every amount is possible.
    """

    most: int
    lines: tuple[tuple[int, Ratio, Ratio], ...]


class Timeline(NamedTuple):
    """The stretches of a use. `plain`: the prices of its only one, where all are known and by the unit; else None."""

    stretches: tuple[ReadyStretch, ...]
    plain: Plain | None


K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """Asks once for each key."""

    def __init__(self, ask: Callable[[K], V]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, key: K) -> V:
        found = self[key] = self._ask(key)
        return found


Addition = tuple[int, int | None, int | None, int]
"""What a current charge adds to the rollups: basis number, 10⁻⁹ of the pricing currency and euro, `lead`."""


class Revision(NamedTuple):
    """A revision to charge: its row, its profile, its start (UTC), its quantities in the order of the profile."""

    row: ReadingRow
    profile: Profile
    start: datetime
    quantities: Sequence[Decimal]


_Key = tuple[int, int, int, bool, str | None, Sizes, int]
"""What a timeline depends on: profile, day, segment of tariffs and contracts, whether estimated, cost currency, sizes
of the request where a price depends on them, version."""

_Kind = tuple[object, ...]
"""The same with the likeness of the use in the place of its profile: fewer, and they need asking the register."""


class Charged(NamedTuple):
    """What became of a reading: its charges, what the current ones add to the rollups, and the last version's number.

    `since`: the recorded time of the first charge; 0 when there is none.
    """

    rows: list[ChargeValues]
    current: list[Addition]
    version: int
    since: int


def makes_charges(row: ReadingRow) -> bool:
    """Whether a revision is paid: not taken back, and not merely told of."""
    return row.purpose == BILLING and not row.retracted


class Charger:
    """Makes charges of readings. Keeps prices ready until the register or the numbering changes; one thread only."""

    def __init__(self) -> None:
        self._made_for: tuple[object, int] | None = None
        self._ready: dict[_Key, Timeline] = {}
        self._of_kind: dict[_Kind, Timeline] = {}

    def begin(self, work: Work) -> None:
        """Forget what was made ready for another register version, or under numbers that were rolled back."""
        made_for = (work.book, work.generation)
        if self._made_for != made_for or len(self._ready) > MOST_CACHED:
            self._made_for = made_for
            self._ready, self._of_kind = {}, {}

    def timelines(self, work: Work, revisions: Sequence[Revision]) -> list[Timeline]:
        """How new revisions are charged, in order: at the register of their recorded time, and by later versions."""
        since: Remembered[int, int] = Remembered(lambda recorded_at: work.book.version_at(instant(recorded_at)))
        return self._timelines(work, revisions, [since[one.row.recorded_at] for one in revisions])

    def next(self, work: Work, present: Sequence[tuple[Revision, int]]) -> list[Charged]:
        """The charges that versions after `row.register_version` put in the place of the present ones, if any.

        `row.pricing` is the version number of the present ones; beside each revision their recorded time.
        """
        revisions = [one for one, _ in present]
        timelines = self._timelines(work, revisions, [one.row.register_version for one in revisions])
        return [
            charge(
                work, one.row._replace(pricing=one.row.pricing + 1), found.stretches[1:], one.quantities, recorded_at
            )
            for (one, recorded_at), found in zip(present, timelines, strict=True)
        ]

    def _timelines(self, work: Work, revisions: Sequence[Revision], versions: Sequence[int]) -> list[Timeline]:
        """The timelines of revisions from these register versions on, in order."""
        segment, sizes, ready = work.book.segment, work.book.sizes, self._ready
        keys: list[_Key] = [
            (
                row.profile,
                row.day,
                segment(start),
                row.finality != FINAL,
                row.cost_currency,
                sizes(profile, quantities),
                version,
            )
            for (row, profile, start, quantities), version in zip(revisions, versions, strict=True)
        ]
        missing = {key: one for key, one in zip(keys, revisions, strict=True) if key not in ready}
        if missing:
            self._make_ready(work, missing)
        return [ready[key] for key in keys]

    def _make_ready(self, work: Work, missing: Mapping[_Key, Revision]) -> None:
        """Make timelines, one for all uses of a kind; bases are entered together, much quicker than one by one."""
        kinds: dict[_Key, _Kind] = {}
        made: dict[_Kind, tuple[Use, bool, tuple[Stretch, ...]]] = {}
        for key, (row, profile, start, _) in missing.items():
            *_, sizes, version = key
            use = Use(profile, start, date.fromordinal(row.day), row.cost_currency, sizes)
            kind = kinds[key] = (*likeness(work.book, use, version), *key[1:])
            if kind not in self._of_kind and kind not in made:
                made[kind] = (use, row.finality != FINAL, timeline(work.book, use, version))
        work.enter_bases(
            [
                basis_of(pricer.line, use, stretch.version, estimated=estimated)
                for use, estimated, stretches in made.values()
                for stretch in stretches
                for pricer in stretch.pricers
            ]
        )
        for kind, (use, estimated, stretches) in made.items():
            ready = tuple(_ready(work, use, stretch, estimated=estimated) for stretch in stretches)
            self._of_kind[kind] = Timeline(ready, _plain(ready[0], stretches[0].pricers) if len(ready) == 1 else None)
        self._ready.update({key: self._of_kind[kind] for key, kind in kinds.items()})


def charge_plain(
    revisions: Sequence[Revision], timelines: Sequence[Timeline], shards: Sequence[int], tally: Tally
) -> tuple[list[ChargeValues], list[int]]:
    """The fast lane: charges of whole quantities at plain prices in open months, counted already, and who is left.

    Requests to a model are nearly all such: each meter is then one product, rounded as ever, and nothing is made of it
    but its row and its part of the sums. The places of all others are told; `charge` takes them, and would answer the
    same for these.
    """
    charges: list[ChargeValues] = []
    left: list[int] = []
    totals, open_from = tally.totals, tally.open_from
    for place, ((row, *_), (_, plain), shard) in enumerate(zip(revisions, timelines, shards, strict=True)):
        if plain is None or row.day < open_from or (quantities := _whole(row.quantities, plain.most)) is None:
            left.append(place)
            continue
        number, version, recorded_at = row.number, row.pricing, row.recorded_at
        lead = PRICED
        for (basis, price, euro), quantity in zip(plain.lines, quantities, strict=True):
            nano, eur_nano = rounded(quantity, 1, price), rounded(quantity, 1, euro)
            charges.append((number, version, basis, nano, eur_nano, recorded_at, None, lead))
            total = totals[shard, basis]
            total[0] += eur_nano
            total[1] += nano
            total[2] += 1
            total[3] += lead == PRICED
            lead = NO_LEAD
    return charges, left


def _whole(texts: str, most: int) -> list[int] | None:
    """The quantities of a reading as whole numbers; None where one has decimals or is above `most`."""
    if not texts.replace(" ", "").isdigit():
        return None
    quantities = [int(text) for text in texts.split()]
    return None if max(quantities) > most else quantities


def charge(
    work: Work, row: ReadingRow, stretches: Sequence[ReadyStretch], quantities: Sequence[Decimal], at_least: int
) -> Charged:
    """The charges of each stretch, from `row.pricing` on; none is recorded before `at_least`."""
    rows: list[ChargeValues] = []
    current: list[Addition] = []
    number, version, last = row.number, row.pricing, len(stretches) - 1
    since = max(stretches[0].since, at_least) if stretches else 0
    recorded_at = since
    for index, stretch in enumerate(stretches):
        until = None if index == last else max(stretches[index + 1].since, at_least)
        of_lines = (Decimal(row.cost or 0),) if stretch.of_reading else quantities
        made, lead = _priced(work, stretch.lines, of_lines)
        for basis, nano, eur_nano in made:
            rows.append((number, version + index, basis, nano, eur_nano, recorded_at, until, lead))
            if until is None:
                current.append((basis, nano, eur_nano, lead))
            lead = NO_LEAD
        recorded_at = until or recorded_at
    return Charged(rows, current, version + max(last, 0), since)


def quantities_of(row: ReadingRow) -> tuple[Decimal, ...]:
    """The quantities of a stored reading, in the order of its profile's meters."""
    return tuple(map(Decimal, row.quantities.split()))


def sums_of(nano: int | None, eur_nano: int | None, lead: int) -> Sums:
    """What a current charge adds to a rollup."""
    return Sums(eur_nano or 0, nano or 0, 1, int(lead != NO_LEAD), int(lead == UNPRICED))


def counted(charge: ChargeRow) -> Counted:
    """A charge as the sums see it."""
    sums = sums_of(charge.nano, charge.eur_nano, charge.lead)
    return Counted(charge.basis, sums, charge.recorded_at, charge.superseded_at)


def basis_of(line: Line, use: Use, version: int, *, estimated: bool) -> Basis:
    """What the charges of a line have in common."""
    return Basis(
        use.day.toordinal(),
        line.owner.unit,
        use.profile.system,
        use.profile.sku,
        line.meter,
        line.category,
        int(estimated),
        line.currency or "",
        version,
        line.owner.rule,
        line.tariff,
        line.tariff_version,
        None if line.nano_per_unit is None else str(line.nano_per_unit),
        None if line.rate is None else str(line.rate),
        None if line.rate_day is None else line.rate_day.toordinal(),
        line.reason,
        line.owner.cost_centre,
        line.owner.project,
        "" if line.vat_rate is None else as_text(line.vat_rate),
        None if line.list_per_unit is None else str(line.list_per_unit),
        line.credit_tariff,
        line.credit_tariff_version,
        line.agreement,
    )


def _ready(work: Work, use: Use, stretch: Stretch, *, estimated: bool) -> ReadyStretch:
    lines = tuple(
        Ready(
            pricer.amounts,
            work.basis(basis_of(pricer.line, use, stretch.version, estimated=estimated)),
            pricer.line.reason is not None,
            pricer.line.of_reading,
        )
        for pricer in stretch.pricers
    )
    since = 0 if stretch.since is None else micros(stretch.since)
    return ReadyStretch(since, lines, stretch.pricers[0].line.of_reading)


def _plain(ready: ReadyStretch, pricers: Sequence[Pricer]) -> Plain | None:
    """The prices of a stretch for the fast lane, if it may take that."""
    prices = [pricer.per_unit for pricer in pricers]
    lines = tuple((line.basis, *price) for line, price in zip(ready.lines, prices, strict=True) if price is not None)
    if ready.of_reading or len(lines) < len(prices):
        return None
    return Plain(min(most_possible(price) for _, *both in lines for price in both), lines)


def _priced(
    work: Work, lines: Sequence[Ready], quantities: Sequence[Decimal]
) -> tuple[list[tuple[int, int | None, int | None]], int]:
    """(basis number, 10⁻⁹ of the pricing currency, 10⁻⁹ euro) of each line, and the `lead` of the first."""
    made: list[tuple[int, int | None, int | None]] = []
    lead = PRICED
    for (price, basis, is_unpriced, of_reading), quantity in zip(lines, quantities, strict=True):
        amounts = price(quantity)
        if is_unpriced or not is_possible(amounts):
            charge = _special(work, basis, amounts, free=not (quantity or of_reading))
            if charge[2] is None:
                lead = UNPRICED
            made.append(charge)
        else:
            made.append((basis, *amounts))
    return made, lead


def _special(work: Work, basis: int, amounts: Amounts, *, free: bool) -> tuple[int, int | None, int | None]:
    """A charge that cannot have its price: none was consumed (free, whatever the price), or too much, or no price."""
    if free:
        return _variant(work, basis, None), 0, 0
    if not is_possible(amounts):
        return _variant(work, basis, TOO_LARGE), None, None
    return basis, amounts[0], None


def _variant(work: Work, basis: int, reason: str | None) -> int:
    """The same basis with another answer to whether there is a price, and no amount in any currency."""
    return work.basis(work.basis_of(basis)._replace(reason=reason, currency=""))
