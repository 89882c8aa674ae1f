"""Files that a person hands over: an invoice becomes events by the outbox, events go in by the same door as others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from services.shared.access import ANYBODY
from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.errors import InvalidEventError
from services.shared.events import REGISTER
from services.shared.events.register import System
from services.shared.events.usage import Invoice
from services.shared.relay import BusRelay
from services.shared.store import OutgoingMessage, Store
from services.usage_collector.adapters.state import CollectorState
from services.usage_collector.facts import event_of, id_of
from services.usage_collector.intake import MAX_BATCH_EVENTS, Intake, read_json
from services.usage_collector.invoices import IMPORTED, News, Read, check_systems, news, read_invoices
from services.usage_collector.poller import message_of
from services.usage_collector.register.versions import read_held
from services.usage_collector.source import midnight
from services.usage_collector.tables_in_text import Fault, FileRefusedError

Tell = Callable[[int, int], None]
"""(done, of how many)."""


def import_invoices(
    file: str, content: bytes, store: Store, bus: EventBus, clock: Clock, *, revise: bool, dry_run: bool = False
) -> News:
    """Tell the invoices of a file; the same file twice tells nothing twice.

    Raises:
        FileRefusedError: something is wrong with the file; nothing of it was taken.
        TransientError: the bus or the database is away; what was kept leaves later.
    """
    found = read_invoices(file, content)
    _check_register(file, found, bus)
    state = CollectorState(store)
    state.learn(bus, {IMPORTED})
    if dry_run:
        with store.reading() as connection:
            return _news(file, found, state, connection, revise=revise)
    with store.transaction() as tx:
        told = _news(file, found, state, tx.connection, revise=revise)
        facts = [*told.new, *told.revised]
        state.remember(tx, IMPORTED, facts)
        tx.send([_message(file, one, found) for one in facts])
    send_all(store, bus, clock)
    return told


def _check_register(file: str, found: Sequence[Read], bus: EventBus) -> None:
    """Look whether the published register knows the systems; before it is published, nobody does."""
    bus.ensure_topics((REGISTER,))
    held = read_held(bus)
    if held.version:
        systems = {fact.id: fact for fact in held.facts.values() if isinstance(fact, System)}
        check_systems(file, found, systems)


def _news(file: str, found: Sequence[Read], state: CollectorState, connection: Connection, *, revise: bool) -> News:
    keys = {("invoice", id_of(one.invoice)) for one in found}
    known = state.known(connection, IMPORTED, keys)
    return news(file, found, {name: one for (_, name), one in known.items()}, revise=revise)


def _message(file: str, invoice: Invoice, found: Sequence[Read]) -> OutgoingMessage:
    """Dated by the invoice itself, so that the same invoice is the same bytes wherever it is imported."""
    try:
        return message_of(event_of(invoice, IMPORTED, midnight(invoice.issued_on)))
    except InvalidEventError as error:
        place = next(one.places[0] for one in found if id_of(one.invoice) == id_of(invoice))
        raise FileRefusedError([Fault(file, place, "", "an invoice with long texts", str(error))]) from None


def send_all(store: Store, bus: EventBus, clock: Clock) -> None:
    """Send what waits in the outbox. A running collector on the same database may do it in our place."""
    relay = BusRelay(store, bus, clock)
    while relay.step() == 0.0:
        pass


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file of events: how many were taken, and why the others were not."""

    accepted: int
    refused: Sequence[Fault]


def import_events(file: str, content: bytes, intake: Intake, tell: Tell) -> Taken:
    """Send the events of a file (a JSON array, or one event a line) through the intake, as an application would.

    Good ones are taken; each refused one is told. The same file twice has no effect: the events keep their ids.

    Raises:
        FileRefusedError: the file is neither.
        TransientError: the bus is away; run it again.
    """
    raws = _events(file, content)
    accepted, refused = 0, []
    for start in range(0, len(raws), MAX_BATCH_EVENTS):
        some = raws[start : start + MAX_BATCH_EVENTS]
        outcome = intake.accept([raw for _, raw in some], ANYBODY)
        accepted += outcome.accepted
        refused += [
            Fault(file, some[one.index][0], "", "an event that is not taken", one.reason)
            for one in outcome.refused
            if one.index is not None
        ]
        tell(start + len(some), len(raws))
    return Taken(accepted, refused)


def _events(file: str, content: bytes) -> list[tuple[int, object]]:
    """(line of the file, event as JSON says it). In an array events are counted instead of lines."""
    if content.lstrip()[:1] == b"[":
        found = _json(file, 1, content)
        assert isinstance(found, list)
        return list(enumerate(found, 1))
    lines = enumerate(content.splitlines(), 1)
    return [(number, _json(file, number, line)) for number, line in lines if line.strip()]


def _json(file: str, line: int, text: bytes) -> object:
    try:
        found: object = read_json(text)
    except InvalidEventError as error:
        raise FileRefusedError([Fault(file, line, "", "no event", str(error))]) from None
    return found


def document(told: News) -> Mapping[str, Sequence[str]]:
    """What `valvomo import --as invoice --json` prints."""
    return {
        "new": [one.invoice_id for one in told.new],
        "revised": [one.invoice_id for one in told.revised],
        "known": list(told.same),
    }
