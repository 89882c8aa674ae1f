"""What the log, and those who look after it, say about the log itself (topic `valvomo.outcomes`).

Entries of these events are about the log: they are no growth that a new checkpoint is signed for, so that silence
stays silent. Nobody is named here: who acts is a role, a token's id, or `command` (whoever may work on the server).
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.shared.events.envelope import Event, Fact, Id, Name, Sha256, Utc

Index = Annotated[int, Field(ge=0, strict=True)]
"""An entry's index, or a number of entries. Roots are hex."""
Note = Annotated[str, StringConstraints(max_length=20_000)]
"""A signed note as it stands, or base64 of a receipt."""
VerifierKeyText = Annotated[str, StringConstraints(pattern=r"^[^\s+]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44,2000}$")]
AnchorKind = Literal["witness", "folder", "mail", "timestamp"]

_ABOUT = ("valvomo.log.", "valvomo.anchor.")


def is_about_log(event_type: str) -> bool:
    """Whether an event of this type is about the log itself."""
    return event_type.startswith(_ABOUT)


class Anchoring(Fact):
    """A checkpoint was taken to where we cannot rewrite it, and this is what we were given for it.

    `receipt`: base64 (a cosignature line, a timestamp token); None where there is nothing to keep (a file was written).
    """

    anchor: Id
    kind: AnchorKind
    size: Index
    root: Sha256
    anchored_at: Utc
    receipt: Note | None = None


class AnchorRecorded(Event):
    type: Literal["valvomo.anchor.recorded.v1"] = "valvomo.anchor.recorded.v1"
    data: Anchoring


class AnchorRefusal(Fact):
    """An anchor knows another log of this name than ours: somebody must look. `known_size`: what it had seen."""

    anchor: Id
    kind: AnchorKind
    size: Index
    root: Sha256
    refused_at: Utc
    known_size: Index | None = None
    reason: Literal["inconsistent", "larger", "unknown_origin", "bad_signature", "refused"]


class AnchorRefused(Event):
    type: Literal["valvomo.anchor.refused.v1"] = "valvomo.anchor.refused.v1"
    data: AnchorRefusal


class Beat(Fact):
    """Nothing happened, and the log is alive: written when nothing was signed for a day."""

    beat_at: Utc
    size: Index
    root: Sha256


class LogHeartbeat(Event):
    type: Literal["valvomo.log.heartbeat.v1"] = "valvomo.log.heartbeat.v1"
    data: Beat


class KeyChange(Fact):
    """A verifier key signs from now on (`added`), or no longer (`retired`)."""

    key: VerifierKeyText
    change: Literal["added", "retired"]
    reason: Name
    approver: Id


class LogKeyChanged(Event):
    type: Literal["valvomo.log.key_changed.v1"] = "valvomo.log.key_changed.v1"
    data: KeyChange


class Restoring(Fact):
    """A backup was put back, and what it lacked was filled in again byte by byte: entries `first` to `last`."""

    first: Index
    last: Index
    filled_from: Literal["export", "bus"]
    size: Index
    root: Sha256
    reason: Name
    approver: Id


class LogRestored(Event):
    type: Literal["valvomo.log.restored.v1"] = "valvomo.log.restored.v1"
    data: Restoring


class Succession(Fact):
    """This log follows another one, which could not go on. Its first entry.

    `checkpoint`: the last known one of the old log. `lost`: what of the old one is gone for good, in words.
    """

    previous_origin: Name
    checkpoint: Note | None
    lost: Name
    reason: Name
    responsible: Id
    approver: Id


class LogSucceeded(Event):
    type: Literal["valvomo.log.succeeded.v1"] = "valvomo.log.succeeded.v1"
    data: Succession


class Lookup(Fact):
    """Somebody looked into the log. `asked`: the filters, as they were given; `reader`: a token's id."""

    reader: Id
    what: Literal["entries", "entry", "proof", "outputs", "findings", "page"]
    asked: dict[Name, Name] = Field(default_factory=dict)
    entries: Index
    read_at: Utc


class LogRead(Event):
    type: Literal["valvomo.log.read.v1"] = "valvomo.log.read.v1"
    data: Lookup


class Exporting(Fact):
    """Evidence was taken out: everything, entries `first` to `last`, or a matter (what the filters in `asked` find)."""

    reader: Id
    scope: Literal["whole", "range", "matter"]
    asked: dict[Name, Name] = Field(default_factory=dict)
    first: Index | None = None
    last: Index | None = None
    entries: Index
    size: Index
    root: Sha256
    exported_at: Utc


class LogExported(Event):
    type: Literal["valvomo.log.exported.v1"] = "valvomo.log.exported.v1"
    data: Exporting


class Hold(Fact):
    """Entries `first` to `last` (None: and all that come) must not be pruned, whatever their age."""

    hold: Id
    first: Index
    last: Index | None
    reason: Name
    approver: Id


class LogHoldPlaced(Event):
    type: Literal["valvomo.log.hold_placed.v1"] = "valvomo.log.hold_placed.v1"
    data: Hold


class HoldRelease(Fact):
    hold: Id
    reason: Name
    approver: Id


class LogHoldReleased(Event):
    type: Literal["valvomo.log.hold_released.v1"] = "valvomo.log.hold_released.v1"
    data: HoldRelease


class Pruning(Fact):
    """The bytes of entries `first` to `last` were destroyed here after an export of them was verified.

    `first` is 0: what earlier prunings destroyed is among them. Their hashes stay, and entries that are still needed:
    roots and proofs are what they were. `export_size`, `export_root`: the verified export's.
    """

    first: Index
    last: Index
    export_size: Index
    export_root: Sha256
    reason: Name
    approver: Id


class LogPruned(Event):
    type: Literal["valvomo.log.pruned.v1"] = "valvomo.log.pruned.v1"
    data: Pruning


class PersonExport(Fact):
    """A data subject was given what is kept about them. `key_id`: the person's, unlinkable without the collector."""

    key_id: Id
    exported_at: Utc


class PersonExported(Event):
    type: Literal["valvomo.person.exported.v1"] = "valvomo.person.exported.v1"
    data: PersonExport


class PersonErasure(Fact):
    """Who is behind a pseudonym was destroyed. Neither pseudonym nor identity stands here."""

    key_id: Id
    legal_basis: Name
    approver: Id
    erased_at: Utc


class PersonErased(Event):
    type: Literal["valvomo.person.erased.v1"] = "valvomo.person.erased.v1"
    data: PersonErasure
