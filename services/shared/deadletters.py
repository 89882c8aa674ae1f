"""Dead letters: records that no retry could help, kept as they came, so that they can be looked at and replayed.

A letter is one JSON document on the dead-letter topic. It is named by where its record stood and who refused it; the
same letter twice is one. A replay publishes the original bytes to the original topic and key, and a note beside the
letters which says so: what was replayed is not offered again.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError

from services.shared.bus import EventBus, Message, Record, TopicPartition
from services.shared.errors import InvalidEventError
from services.shared.events import DEAD_LETTER, OUTCOMES, encode, event_id
from services.shared.events.envelope import Fact, Utc
from services.shared.events.outcomes import DeadLetter, RecordDeadLettered
from services.shared.logs import logger
from services.shared.store import OutgoingMessage

ATTEMPTS_HEADER = "valvomo-attempts"
"""On a replayed record: how often it had been tried before."""

MAX_COPIED_BYTES = 500_000
"""A larger record stays where it stands, on the original topic; Base64 would make it too large for the bus."""

_log = logger("dead letters")
_REASON_CHARACTERS = 256
_READ_AT_ONCE = 500
_LETTERS = TopicPartition(DEAD_LETTER.name, 0)


def _decoded(value: object) -> object:
    return b64decode(value, validate=True) if isinstance(value, str) else value


Base64 = Annotated[
    bytes,
    BeforeValidator(_decoded),
    PlainSerializer(lambda value: b64encode(value).decode(), return_type=str, when_used="json"),
]
"""Any bytes, written in JSON as Base64."""


class Copy(Fact):
    """What a record held, byte for byte."""

    key: Base64
    value: Base64
    headers: tuple[tuple[str, Base64], ...]


class LetterDocument(Fact):
    """A dead letter as it stands on its topic."""

    v: Literal[1] = 1
    letter_id: str
    cluster: str
    group: str
    topic: str
    partition: int
    offset: int
    ingest_time: Utc
    set_aside_at: Utc
    attempts: int
    reason: str
    length: int
    copied: Copy | None
    """None when it is too large to be copied: it stands where `topic`, `partition` and `offset` say."""


class ReplayNote(Fact):
    """Says that a letter's record was published again."""

    v: Literal[1] = 1
    replayed: str
    replayed_at: Utc


_documents: TypeAdapter[LetterDocument | ReplayNote] = TypeAdapter(LetterDocument | ReplayNote)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as a list shows it: without the record's bytes, which may hold anything."""

    letter_id: str
    group: str
    topic: str
    partition: int
    offset: int
    ingest_time: datetime
    set_aside_at: datetime
    attempts: int
    reason: str
    length: int
    position: int
    """Offset of the letter on the dead-letter topic."""


def letter_messages(
    record: Record, reason: str, *, cluster: str, group: str, now: datetime, hash_key: bytes
) -> list[OutgoingMessage]:
    """What leaves when a record is set aside: the letter, and the outcome that says so without its bytes.

    The outcome's bytes depend on the record and the reason only, so that a rebuild makes the same event.
    """
    letter_id = event_id("dead letter", cluster, group, record.topic, record.partition, record.offset)
    short, small = _printable(reason), _size(record) <= MAX_COPIED_BYTES
    document = LetterDocument(
        letter_id=letter_id,
        cluster=cluster,
        group=group,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        ingest_time=record.ingest_time,
        set_aside_at=now,
        attempts=_attempts_before(record) + 1,
        reason=short,
        length=len(record.value),
        copied=_copy(record) if small else None,
    )
    outcome = RecordDeadLettered(
        id=letter_id,
        source=f"valvomo/{group}",
        subject=f"{record.topic}/{record.partition}/{record.offset}",
        time=record.ingest_time,
        data=DeadLetter(
            group=group,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            value_hash=hmac.digest(hash_key, record.value, "sha256").hex(),
            length=len(record.value),
            reason=short,
        ),
    )
    letter = document.model_dump_json().encode()
    return [
        OutgoingMessage(f"{letter_id}.letter", "bus", letter, DEAD_LETTER.name, record.key if small else b""),
        OutgoingMessage(f"{letter_id}.outcome", "bus", encode(outcome), OUTCOMES.name, outcome.subject.encode()),
    ]


def waiting_letters(bus: EventBus) -> list[Letter]:
    """The letters that nobody has replayed, oldest first, each once.

    Raises:
        TransientError: the bus is away.
    """
    letters: dict[str, Letter] = {}
    replayed: set[str] = set()
    for position, found in _read_all(bus):
        if isinstance(found, ReplayNote):
            replayed.add(found.replayed)
        else:
            letters.setdefault(found.letter_id, _listed(found, position))
    return [letter for letter in letters.values() if letter.letter_id not in replayed]


def original(bus: EventBus, letter: Letter) -> Copy:
    """What the record held; a very large one is read from where it stands.

    Raises:
        InvalidEventError: its bytes are nowhere any more.
    """
    for position, found in _read_from(bus, letter.position, letter.position + 1):
        if position == letter.position and isinstance(found, LetterDocument):
            return found.copied or _copy(_record(bus, letter))
    raise InvalidEventError(f"the dead letter {letter.letter_id} is no longer on the bus; it is kept 30 days")


def replay(bus: EventBus, letters: Sequence[Letter], now: Callable[[], datetime]) -> int:
    """Publish the records of these letters again, to their topics and keys, and note it; how many.

    Whoever read the record well the first time passes over it as a duplicate. When the bus goes away in the midst,
    a record may be published and not noted: replaying it once more does no harm.
    """
    for letter in letters:
        copy = original(bus, letter)
        kept = tuple(header for header in copy.headers if header[0] != ATTEMPTS_HEADER)
        headers = (*kept, (ATTEMPTS_HEADER, str(letter.attempts).encode()))
        note = ReplayNote(replayed=letter.letter_id, replayed_at=now()).model_dump_json().encode()
        bus.publish([Message(letter.topic, copy.key, copy.value, headers)])
        bus.publish([Message(DEAD_LETTER.name, letter.letter_id.encode(), note)])
    return len(letters)


def chosen(letters: Sequence[Letter], prefixes: Collection[str]) -> list[Letter]:
    """The letters whose ids begin so.

    Raises:
        InvalidEventError: a prefix fits none of them, or several.
    """
    return [_one(letters, prefix) for prefix in prefixes]


def _one(letters: Sequence[Letter], prefix: str) -> Letter:
    fitting = [letter for letter in letters if letter.letter_id.startswith(prefix)]
    if len(fitting) != 1:
        raise InvalidEventError(
            f"found {len(fitting)} waiting dead letters whose id begins with {prefix!r}, expected one: "
            "`valvomo dead-letters list` shows them"
        )
    return fitting[0]


def _read_all(bus: EventBus) -> Iterator[tuple[int, LetterDocument | ReplayNote]]:
    return _read_from(bus, 0, bus.end_positions([DEAD_LETTER.name])[_LETTERS])


def _read_from(bus: EventBus, start: int, end: int) -> Iterator[tuple[int, LetterDocument | ReplayNote]]:
    while start < end:
        records = bus.read(_LETTERS, start, min(_READ_AT_ONCE, end - start))
        if not records:
            return
        for record in records:
            if (found := _parsed(record)) is not None:
                yield record.offset, found
        start = records[-1].offset + 1


def _parsed(record: Record) -> LetterDocument | ReplayNote | None:
    """None: somebody else wrote it. It must not stand between a person and the letters."""
    try:
        return _documents.validate_json(record.value)
    except ValidationError:
        _log.warning("no dead letter", topic=record.topic, partition=record.partition, offset=record.offset)
        return None


def _record(bus: EventBus, letter: Letter) -> Record:
    for record in bus.read(TopicPartition(letter.topic, letter.partition), letter.offset, 1):
        if record.offset == letter.offset:
            return record
    raise InvalidEventError(
        f"the record {letter.topic}/{letter.partition}/{letter.offset} was too large to copy "
        "and is no longer on the bus"
    )


def _copy(record: Record) -> Copy:
    return Copy(key=record.key, value=record.value, headers=record.headers)


def _size(record: Record) -> int:
    """Bytes that a letter about it holds, roughly: its key stands there twice."""
    return len(record.value) + 2 * len(record.key) + sum(len(name) + len(value) for name, value in record.headers)


def _listed(document: LetterDocument, position: int) -> Letter:
    return Letter(
        letter_id=document.letter_id,
        group=document.group,
        topic=document.topic,
        partition=document.partition,
        offset=document.offset,
        ingest_time=document.ingest_time,
        set_aside_at=document.set_aside_at,
        attempts=document.attempts,
        reason=document.reason,
        length=document.length,
        position=position,
    )


def _attempts_before(record: Record) -> int:
    told = dict(record.headers).get(ATTEMPTS_HEADER, b"0")
    return int(told) if told.isdigit() else 0


def _printable(reason: str) -> str:
    one_line = "".join(character if character.isprintable() else " " for character in reason)
    return (one_line.strip() or "no reason was given")[:_REASON_CHARACTERS]
