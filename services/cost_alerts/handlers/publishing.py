"""Charges for readers outside: what changed goes to `valvomo.charges`; the highest version of a charge id wins.

A reading's charges are a function of its revision and of the register, so is their version: whoever publishes them
again, also after a rebuild, writes the same bytes. They go to the bus directly and are forgotten when it has them.

An agreement's cycle is reckoned anew while its day lasts, without history, so what was told of it is kept
(`charge_sent`): versions rise from there, only differences are told, and what is gone is ended. They go by the outbox.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from itertools import groupby
from time import monotonic
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from services.cost_alerts.domain.use import Profile
from services.cost_alerts.handlers.outgoing import SOURCE, for_bus
from services.cost_alerts.ports.ledger import Basis
from services.shared.bus import EventBus, Message
from services.shared.events import CHARGES, encode, event_id
from services.shared.events.charges import Charge, ChargeMade, ChargeSuperseded, Supersession
from services.shared.money import from_nano
from services.shared.store import OutgoingMessage, Store, Transaction
from services.shared.store.tables import instant

NAME = "charges publisher"
PAUSE_SECONDS = 1.0
AT_ONCE = 2_000

_REGISTER_VERSIONS = 2**31
"""More than there can be; a revision counts for so much in a version."""
_LONGEST_ID = 128
_DIGEST_BYTES = 16
_NOT_NAMING = ("register_version", "rate", "rate_day")
"""Members of a basis that change without making another charge of it."""
_NAMING = tuple(name for name in Basis._fields if name not in _NOT_NAMING)


class Detail(NamedTuple):
    """A charge and what it is for; instants are microseconds, money 10⁻⁹ units.

    Of a reading: `number`, `source`, `reading_id`, `revision`, `profile`; of a period: `agreement` and `cycle`.
    `quantity` is what was metered (None: a cost that the vendor reported for several meters), `priced_quantity` what
    was paid for after rounding up. `sign` is -1 where a charge leaves the books it is told for.
    """

    number: int | None
    source: str | None
    reading_id: str | None
    revision: int
    profile: Profile | None
    agreement: str | None
    cycle: int | None
    starts_at: int
    ends_at: int
    quantity: Decimal | None
    priced_quantity: Decimal | None
    nano: int | None
    eur_nano: int | None
    list_nano: int | None
    recorded_at: int
    superseded_at: int | None
    lead: int
    basis: Basis
    sign: int = 1


class Standing(NamedTuple):
    """The revision of a reading that stands, and when it was recorded."""

    revision: int
    recorded_at: int


class Unsent(NamedTuple):
    """A note that charges changed: of a reading, or of a cycle of an agreement."""

    id: int
    reading: int | None
    agreement: str | None
    cycle: int | None


class Told(NamedTuple):
    """What readers know of a charge of an agreement; `digest` None: that it is no more."""

    version: int
    digest: bytes | None


class ChargeBook(Protocol):
    """What changed since it was published, and the charges themselves, each in full."""

    def unsent(self, connection: Connection, limit: int) -> Sequence[Unsent]:
        """The oldest notes."""
        ...

    def of_readings(self, connection: Connection, numbers: Sequence[int]) -> Iterable[Detail]:
        """Every charge that these readings ever had, by reading and version."""
        ...

    def standing(self, connection: Connection, numbers: Sequence[int]) -> Mapping[int, Standing]: ...

    def of_cycle(self, connection: Connection, agreement: str, cycle: int) -> Iterable[Detail]:
        """The current charges of a cycle."""
        ...

    def changed_at(self, connection: Connection, agreement: str, cycle: int) -> int:
        """The latest instant at which a charge of a cycle began or ended; 0 when it never had any."""
        ...

    def told(self, connection: Connection, agreement: str, cycle: int) -> Mapping[str, Told]:
        """Charge id → what was told of it."""
        ...

    def keep_told(self, tx: Transaction, agreement: str, cycle: int, told: Mapping[str, Told]) -> None: ...

    def forget(self, tx: Transaction, unsent: Sequence[Unsent]) -> None:
        """Take away notes whose charges were published."""
        ...


Cycle = tuple[str, int]


class ChargePublisher:
    """Publishes what changed, for a `Loop`; one process at a time.

    `may_tell`: whether what the bus held when this ledger was first opened has been read. It rests as long as it
    worked, so that it never takes more than half of what pricing needs.
    """

    def __init__(self, store: Store, bus: EventBus, book: ChargeBook, may_tell: Callable[[Connection], bool]) -> None:
        self._store = store
        self._bus = bus
        self._book = book
        self._may_tell = may_tell

    def step(self) -> float:
        """Publish some; how long to pause, in seconds.

        Raises:
            TransientError: bus or store is away; everything is published another time.
        """
        began = monotonic()
        with self._store.exclusive(NAME) as alone:
            more = alone and self.publish_some()
        return monotonic() - began if more else PAUSE_SECONDS

    def publish_some(self) -> bool:
        """Whether there was anything to publish."""
        with self._store.reading() as connection:
            if not self._may_tell(connection):
                return False
            unsent = self._book.unsent(connection, AT_ONCE)
            if not unsent:
                return False
            messages = list(self._of_readings(connection, unsent))
            changed = {cycle: self._of_cycle(connection, *cycle) for cycle in _cycles(unsent)}
        self._bus.publish(messages)
        with self._store.transaction() as tx:
            for cycle, (told, outgoing) in changed.items():
                self._book.keep_told(tx, *cycle, told)
                tx.send(outgoing)
            self._book.forget(tx, unsent)
        return True

    def _of_readings(self, connection: Connection, unsent: Sequence[Unsent]) -> Iterator[Message]:
        numbers = sorted({one.reading for one in unsent if one.reading is not None})
        standing = self._book.standing(connection, numbers)
        charges = self._book.of_readings(connection, numbers)
        for number, found in groupby(charges, key=lambda one: one.number):
            assert number is not None
            for event in reading_events(list(found), standing[number]):
                yield Message(CHARGES.name, event.subject.encode(), encode(event))

    def _of_cycle(
        self, connection: Connection, agreement: str, cycle: int
    ) -> tuple[Mapping[str, Told], Sequence[OutgoingMessage]]:
        told = self._book.told(connection, agreement, cycle)
        charges = list(self._book.of_cycle(connection, agreement, cycle))
        changed_at = self._book.changed_at(connection, agreement, cycle)
        return cycle_events(charges, told, changed_at)


def _cycles(unsent: Sequence[Unsent]) -> list[Cycle]:
    found = {(one.agreement, one.cycle) for one in unsent}
    return sorted((agreement, cycle) for agreement, cycle in found if agreement is not None and cycle is not None)


def charge_id(detail: Detail) -> str:
    """Names a charge for good: a reading's meter, or what an agreement charges a unit for on a day at a price."""
    if detail.agreement is None or detail.cycle is None:
        return reading_charge_id(detail.source or "", detail.reading_id or "", detail.basis.meter)
    told = ("" if value is None else value for value in (getattr(detail.basis, name) for name in _NAMING))
    return event_id("charge", detail.agreement, detail.cycle, *told)


def reading_charge_id(source: str, reading_id: str, meter: str) -> str:
    """Names the charge of one meter of a reading, whatever its price."""
    return event_id("charge", source, reading_id, meter)


def reading_events(charges: Sequence[Detail], standing: Standing) -> Iterator[ChargeMade | ChargeSuperseded]:
    """What now stands of a reading: its current charges, and an end for those that have none any more.

    The version rises with the revision, and within it with the register version that made the charge.
    """
    current = [one for one in charges if one.superseded_at is None]
    ids = {charge_id(one) for one in current}
    of_revision = standing.revision * _REGISTER_VERSIONS + 1
    for one in current:
        yield _made(one, charge_id(one), of_revision + one.basis.register_version)
    version = of_revision + max((one.basis.register_version for one in current), default=0)
    ended_at = max((one.recorded_at for one in current), default=standing.recorded_at)
    for gone in sorted({charge_id(one) for one in charges} - ids):
        yield _ended(gone, max(version, 2), ended_at)


def cycle_events(
    charges: Sequence[Detail], told: Mapping[str, Told], changed_at: int
) -> tuple[Mapping[str, Told], Sequence[OutgoingMessage]]:
    """What of a cycle is unlike what was told, and how to tell it. Versions are above all that were told before."""
    now, messages = {}, []
    for one in charges:
        name, digest = charge_id(one), digest_of(one)
        before = told.get(name)
        if before is None or before.digest != digest:
            version = max(one.recorded_at, 1 if before is None else before.version + 1)
            now[name] = Told(version, digest)
            messages.append(for_bus(_made(one, name, version)))
    standing = {charge_id(one) for one in charges}
    for name, before in sorted(told.items()):
        if name not in standing and before.digest is not None:
            now[name] = Told(before.version + 1, None)
            messages.append(for_bus(_ended(name, before.version + 1, changed_at or before.version)))
    return now, messages


def digest_of(detail: Detail) -> bytes:
    """Of everything that readers are told of a charge but its version."""
    told = repr((*detail.basis, detail.quantity, detail.nano, detail.eur_nano, detail.list_nano, detail.recorded_at))
    return blake2b(told.encode(), digest_size=_DIGEST_BYTES).digest()


def _made(detail: Detail, name: str, version: int) -> ChargeMade:
    basis = detail.basis
    is_priced = detail.eur_nano is not None
    nano = detail.nano if is_priced else None
    agreement = detail.agreement or basis.agreement
    data = Charge(
        charge_id=name,
        version=version,
        source=detail.source,
        reading_id=detail.reading_id,
        agreement=agreement if agreement is None or len(agreement) <= _LONGEST_ID else event_id(agreement),
        day=date.fromordinal(basis.day),
        unit=basis.unit,
        cost_centre=basis.cost_centre or None,
        project=basis.project or None,
        system=basis.system,
        sku=basis.sku,
        meter=basis.meter,
        category=basis.category,  # type: ignore[arg-type]  # one of a charge's, checked by the model
        quantity=Decimal(int(is_priced)) if detail.quantity is None else detail.quantity,
        currency=basis.currency or None,
        list_cost=_amount(detail.list_nano if is_priced else None),
        contracted_cost=_amount(nano),
        effective_cost=_amount(nano),
        eur=_amount(detail.eur_nano),
        fx_rate=None if basis.rate is None else Decimal(basis.rate),
        fx_day=None if basis.rate_day is None else date.fromordinal(basis.rate_day),
        vat_rate=Decimal(basis.vat_rate) if basis.vat_rate else None,
        tariff=basis.tariff,
        tariff_version=basis.tariff_version,
        rule=basis.rule,
        register_version=basis.register_version,
        estimated=bool(basis.estimated),
        recorded_at=instant(detail.recorded_at),
        reason=basis.reason,
    )
    time = instant(detail.recorded_at)
    return ChargeMade(id=f"{name}.{version}", source=SOURCE, subject=name, time=time, data=data)


def _ended(name: str, version: int, ended_at: int) -> ChargeSuperseded:
    time = instant(ended_at)
    data = Supersession(charge_id=name, version=version, recorded_at=time)
    return ChargeSuperseded(id=f"{name}.{version}", source=SOURCE, subject=name, time=time, data=data)


def _amount(nano: int | None) -> Decimal | None:
    return None if nano is None else from_nano(nano)
