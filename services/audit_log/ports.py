"""What the handlers need from outside."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from services.audit_log.domain.reviews.duty import Rulebook
from services.audit_log.domain.reviews.folding import Case, State
from services.shared.errors import PlatformError
from services.shared.events.envelope import Event
from services.shared.events.log import AnchorKind
from services.shared.events.outcomes import FindingClosed, FindingOpened
from services.shared.events.register import RegisterChange
from services.shared.store import Transaction
from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.entry import Position
from services.shared.tlog.merkle import NodeReader
from services.shared.tlog.tiles import TileReader


class Arrival(NamedTuple):
    """An event that came: where it stood on the bus, its (source, id), its bytes."""

    position: Position
    name: tuple[str, str]
    value: bytes


class Appended(NamedTuple):
    """What became of an arrival: its index in the log, and the index of the entry it contradicts."""

    seq: int
    conflicts_with: int | None


class EntryLog(Protocol):
    """The append-only list."""

    def append(self, tx: Transaction, arrivals: Sequence[Arrival]) -> list[Appended | None]:
        """Append what is new, in order, with dense indexes; per arrival what became of it.

        None: the log has it already, from the same place on the bus or as the same (source, id) with the same bytes.
        Other bytes under the same (source, id) are appended and marked as a conflict. Whoever else appends waits.

        Raises:
            StalePositionError: another process appended meanwhile; nothing is written.
        """
        ...


AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""The next look of a case of which something is to be said: before any moment."""


class Judged(NamedTuple):
    """A case to be written down, with what it is now and when it is looked at next."""

    case: Case
    state: State
    next_look: datetime | None


class RegisterNews(NamedTuple):
    """Whose duties and reviews a new register may change; false where nothing of it matters to reviews.

    `rules`: a policy or a use case changed. `use_cases`: those that changed, and those of changed mandates. `units`:
    of changed mandates.
    """

    rules: bool = False
    use_cases: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.rules or bool(self.use_cases) or bool(self.units)


class CaseFiles(Protocol):
    """What the log says about each output, and the register as the log has it: projections, made again from entries."""

    def load(self, tx: Transaction, output_ids: Sequence[str]) -> dict[str, Case]:
        """The cases that exist among these."""
        ...

    def save(self, tx: Transaction, judged: Sequence[Judged]) -> None: ...

    def mark(self, tx: Transaction, judged: Sequence[Judged]) -> None:
        """Write down what these stored cases are now, and when they are looked at next; nothing else has changed."""
        ...

    def waiting(self, tx: Transaction, now: datetime, limit: int) -> list[Case]:
        """Cases whose next look is before `now`: so many of the earliest, by their next look and then their ids."""
        ...

    def affected(self, tx: Transaction, news: RegisterNews) -> Iterator[Sequence[Case]]:
        """The cases that a new register may change, in portions."""
        ...

    def naming(self, tx: Transaction, pseudonyms: Sequence[str]) -> Iterator[Sequence[Case]]:
        """The cases in which one of these pseudonyms stands, in portions."""
        ...

    def rejected(self, tx: Transaction, contents: Sequence[str]) -> list[Case]:
        """Cases of these content hashes that somebody rejected."""
        ...

    def of_content(self, tx: Transaction, case: Case) -> list[Case]:
        """The cases whose outputs have the same content hash and were made later."""
        ...

    def note_opened(self, tx: Transaction, index: int, event: FindingOpened) -> None: ...

    def note_closed(self, tx: Transaction, index: int, event: FindingClosed) -> None: ...

    def note(self, tx: Transaction, index: int, event: Event) -> None:
        """Keep an event that is about no single output, where something is kept of its kind."""
        ...

    def stage(self, tx: Transaction, change: RegisterChange) -> None:
        """Keep a fact of a register version until its marker comes; facts that nobody needs here are passed over."""
        ...

    def apply_register(self, tx: Transaction, version: int, moment: datetime) -> RegisterNews:
        """Let what was staged up to this version hold; `moment`: when it was published.

        A mandate that is named no more ends with that Helsinki day: what was reviewed under it still counts.
        """
        ...

    def rulebook(self, tx: Transaction) -> Rulebook:
        """What holds now."""
        ...

    def decided_first(self, tx: Transaction, message_ids: Sequence[str], now: datetime) -> set[str]:
        """Those of these decisions that nobody has taken yet; they are taken from now on."""
        ...

    def clear(self, tx: Transaction) -> None:
        """Forget every projection. Decisions stay."""
        ...


class Draws(Protocol):
    """Says which outputs are drawn for a review."""

    def told(self, tx: Transaction, cases: Sequence[Case], now: datetime) -> list[Event]:
        """What is demanded of those of these cases that are drawn, and what must be said before that."""
        ...


class StoredEvent(NamedTuple):
    """An entry, read back: its index, when it stood on the bus (UTC), the event's bytes.

    `contradicts`: an earlier entry has other bytes under the same (source, id).
    """

    seq: int
    ingest_time: datetime
    value: bytes
    contradicts: bool


class EntryReader(Protocol):
    """Reads entries back."""

    def events(self, tx: Transaction, topics: Sequence[str], first: int, limit: int) -> Sequence[StoredEvent]:
        """Entries of these topics, from index `first` on."""
        ...


RefusalReason = Literal["inconsistent", "larger", "unknown_origin", "bad_signature", "refused"]


class AnchorRefusedError(PlatformError):
    """An anchor does not take a checkpoint, and no retry helps: a person must look.

    Attributes:
        reason: as in the event `anchor.refused`.
        known_size: how many entries the anchor had seen, where it tells.
    """

    def __init__(self, reason: RefusalReason, message: str, known_size: int | None = None) -> None:
        super().__init__(message)
        self.reason: RefusalReason = reason
        self.known_size = known_size


class Anchor(Protocol):
    """A place outside, where the operator of the log cannot rewrite what it got."""

    name: str
    """Tells it from other anchors; stands in events and in names of files."""
    kind: AnchorKind
    every: timedelta
    """How long after a checkpoint the next one goes there, at the earliest."""

    def push(self, note: bytes, signed: Checkpoint, node: NodeReader, tile: TileReader) -> bytes:
        """Take a checkpoint there; what the anchor gave for it, which may be nothing.

        Args:
            note: the signed checkpoint.
            signed: what it says.
            node: the nodes of a tree that begins with the signed one.
            tile: its tiles; they may hold more hashes than the signed tree has.

        Raises:
            TransientError: it is away, or cannot do it now.
            AnchorRefusedError: it knows the log otherwise, or will not have it.
        """
        ...
