"""What the handlers need from outside."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from services.audit_log.domain.duty import Rulebook
from services.audit_log.domain.review import Case, Judgement
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


class Judged(NamedTuple):
    """A case with what it is now, to be written down."""

    case: Case
    judgement: Judgement


class CaseFiles(Protocol):
    """What the log says about each output, and the register as the log has it: projections, made again from entries."""

    def load(self, tx: Transaction, output_ids: Sequence[str]) -> dict[str, Case]:
        """The cases that exist among these."""
        ...

    def save(self, tx: Transaction, judged: Sequence[Judged]) -> None: ...

    def touch(self, tx: Transaction, cases: Sequence[Case]) -> None:
        """Save cases that are to be judged at the next look."""
        ...

    def waiting(self, tx: Transaction, now: datetime, limit: int) -> list[Case]:
        """Cases to be judged: touched, or waiting for a moment before `now`."""
        ...

    def unsettled(self, tx: Transaction) -> Iterator[Sequence[Case]]:
        """All cases that no review has settled, in portions."""
        ...

    def note_opened(self, tx: Transaction, index: int, event: FindingOpened) -> None: ...

    def note_closed(self, tx: Transaction, index: int, event: FindingClosed) -> None: ...

    def note(self, tx: Transaction, index: int, event: Event) -> bool:
        """Keep an event that is about no single output, where something is kept of its kind; whether it is."""
        ...

    def stage(self, tx: Transaction, change: RegisterChange) -> None:
        """Keep a fact of a register version until its marker comes; facts that reviews do not need are passed over."""
        ...

    def apply_register(self, tx: Transaction, version: int) -> None:
        """Let what was staged up to this version hold."""
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


class EntryReader(Protocol):
    """Reads entries back."""

    def events(self, tx: Transaction, topics: Sequence[str], first: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Entries of these topics that are no conflicts: (index, event bytes), from index `first` on."""
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
