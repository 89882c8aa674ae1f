"""The names of the events behind a charge, read from the bus, and their entries, read from the audit log."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from sqlalchemy import Connection

from services.audit_log.adapters.entries import entries_named, read_entries, read_frontier
from services.audit_log.adapters.pruned import leaf_below, minimum_index
from services.audit_log.adapters.tables import METADATA
from services.cost_alerts.adapters.explaining.evidence import Evidence, hidden
from services.cost_alerts.adapters.explaining.facts import FactName
from services.shared.bus import EventBus
from services.shared.bus.open import BUS_FILE, open_bus
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError, PlatformError
from services.shared.events import Event, decode, event_id
from services.shared.events.register import (
    PeriodClosed,
    ProposalDecided,
    ProposalMade,
    RegisterChange,
    RegisterPublished,
    RegisterVersion,
)
from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.shared.tlog.merkle import leaf_hash
from services.usage_collector.invoices import IMPORTED
from services.usage_collector.register.facts import KIND, key_of_change
from services.usage_collector.register.versions import PARTITION

_CHANGES = get_args(RegisterChange)
_AT_ONCE = 1_000

EventName = tuple[str, str]
"""An event's source and id."""


@dataclass(slots=True)
class RegisterEvents:
    """Which event brought what, by the rule for all readers of the register topic (see `versions`)."""

    facts: dict[FactName, EventName] = field(default_factory=dict)
    markers: dict[int, EventName] = field(default_factory=dict)
    carried: dict[int, str] = field(default_factory=dict)
    proposals: dict[str, list[EventName]] = field(default_factory=dict)
    closings: dict[str, EventName] = field(default_factory=dict)
    _waiting: dict[tuple[str, str], EventName] = field(default_factory=dict)
    _version: int = 0

    @classmethod
    def read(cls, bus: EventBus) -> "RegisterEvents":
        """The whole register topic."""
        found, position = cls(), 0
        while records := bus.read(PARTITION, position, _AT_ONCE):
            for record in records:
                found.take(decode(record.value))
            position = records[-1].offset + 1
        return found

    def take(self, event: Event) -> None:
        name = (event.source, event.id)
        match event:
            case RegisterPublished():
                self._mark(event.data, name)
            case ProposalMade() | ProposalDecided():
                self.proposals.setdefault(event.data.proposal, []).append(name)
            case PeriodClosed():
                self.closings.setdefault(event.data.month, name)
            case _ if isinstance(event, _CHANGES):
                kind, fact_id = key_of_change(cast("RegisterChange", event))
                self._waiting[KIND[kind].model.__name__, fact_id] = name

    def _mark(self, marker: RegisterVersion, name: EventName) -> None:
        if marker.version > self._version:
            self._version = marker.version
            self.markers[marker.version] = name
            self.facts |= {FactName(*key, marker.version): event for key, event in self._waiting.items()}
            if marker.proposal is not None:
                self.carried[marker.version] = marker.proposal
        self._waiting.clear()

    def names(self, one: Evidence) -> list[tuple[str, EventName]]:
        """The events that a piece of evidence is about, each with what it says; none where the topic has none."""
        if one.fact is not None:
            return _found(one.says, self.facts.get(one.fact))
        if one.closing is not None:
            return _found(one.says, self.closings.get(one.closing))
        if one.version is None:
            return []
        decided = self.proposals.get(self.carried.get(one.version, ""), [])
        said = [(f"its proposal: {name}", event) for name, event in zip(_PROPOSAL, decided, strict=False)]
        return [*_found(one.says, self.markers.get(one.version)), *said]


_PROPOSAL = ("made by its author", "decided by a second person")


def _found(says: str, name: EventName | None) -> list[tuple[str, EventName]]:
    return [] if name is None else [(says, name)]


@dataclass(slots=True)
class Named:
    """An event behind a charge. `name` None: the bus could not tell. `entry` and `leaf_hash`: of the log, when found.

    `pruned`: the entry's bytes are gone, its hash stays. `hides`: a person's pseudonym that must not be shown.
    """

    says: str
    name: EventName | None
    hides: str | None = None
    entry: int | None = None
    leaf_hash: str | None = None
    pruned: bool = False

    @property
    def shown_id(self) -> str | None:
        return None if self.name is None else hidden(self.name[1], self.hides)


@dataclass(slots=True)
class Evidences:
    """What was found. `problems`: why bus or log could not be read, a sentence each."""

    events: list[Named]
    problems: list[str]
    bus_read: bool
    log_read: bool

    @property
    def lacking(self) -> Sequence[Named]:
        """The events that bus or log should have and have not."""
        return [
            one for one in self.events if (self.bus_read if one.name is None else self.log_read and one.entry is None)
        ]

    def document(self) -> dict[str, Any]:
        return {"events": [_document(one) for one in self.events], "problems": self.problems}


def _document(one: Named) -> dict[str, Any]:
    source = None if one.name is None else one.name[0]
    found = {"log_entry": one.entry, "leaf_hash": one.leaf_hash, "pruned": one.pruned}
    return {"says": one.says, "source": source, "id": one.shown_id, **found}


def find_evidence(settings: Settings, evidence: Sequence[Evidence]) -> Evidences:
    """The events behind a charge with their entries; what cannot be read is told as a problem, never raised."""
    problems: list[str] = []
    register = _register(settings, problems)
    events = list(_named(evidence, register))
    read = _add_entries(settings, events, problems)
    return Evidences(events, problems, register is not None, read)


def _register(settings: Settings, problems: list[str]) -> RegisterEvents | None:
    try:
        if settings.bus == "sqlite":
            _expect(settings.data_dir / BUS_FILE)
        with closing(open_bus(settings, SystemClock())) as bus:
            return RegisterEvents.read(bus)
    except (PlatformError, OSError) as error:
        problems.append(f"the bus cannot be read, so events of the register are not named: {error}")
        return None


def _expect(path: Path) -> None:
    """Refuse to make an empty file where one should be."""
    if not path.exists():
        raise ConfigurationError(f"found no {path.name} in VALVOMO_DATA_DIR; ask where the program runs")


def _named(evidence: Iterable[Evidence], register: RegisterEvents | None) -> Iterable[Named]:
    for one in evidence:
        if one.event is not None:
            yield Named(one.says, one.event, one.hides)
        elif one.invoice is not None:
            vendor, invoice_id, revision = one.invoice
            yield Named(one.says, (IMPORTED, f"{event_id('invoice', vendor, invoice_id)}.{revision}"))
        else:
            found = [] if register is None else register.names(one)
            yield from (Named(says, name) for says, name in found)
            if not found:
                yield Named(one.says, None)


def _add_entries(settings: Settings, events: Sequence[Named], problems: list[str]) -> bool:
    """Look the events up in the log; whether it could be read."""
    try:
        if settings.store.get_secret_value() == "sqlite":
            _expect(settings.data_dir / "log.db")
        with closing(open_store(settings, "log", METADATA)) as store, store.reading() as connection:
            if not read_frontier(connection).size:
                raise ConfigurationError("the log of these settings has no entries yet; ask where the log is")
            _look_up(connection, events)
    except (PlatformError, OSError) as error:
        problems.append(f"the audit log cannot be read, so entries are not named: {error}")
        return False
    return True


def _look_up(connection: Connection, events: Sequence[Named]) -> None:
    found = entries_named(connection, [one.name for one in events if one.name])
    for one in events:
        one.entry = None if one.name is None else found.get(one.name)
        if one.entry is not None:
            one.pruned, hashed = _leaf(connection, one.entry)
            one.leaf_hash = hashed.hex()


def _leaf(connection: Connection, index: int) -> tuple[bool, bytes]:
    """Whether an entry was pruned, and its hash."""
    bodies = read_entries(connection, index, index + 1)
    if bodies:
        return False, leaf_hash(*bodies)
    if index >= minimum_index(connection):
        raise ConfigurationError(f"entry {index} is missing from the log; run `valvomo audit verify --database`")
    return True, leaf_below(connection, index)
