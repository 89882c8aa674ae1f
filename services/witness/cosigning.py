"""The witness's one decision: does this checkpoint continue the one that was cosigned last?

Deciding and remembering are one transaction, and it is on the disk before the answer leaves. So of two requests at once
one sees what the other left, and a witness that is killed has at most forgotten to answer.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.cosignature import Cosigner, line_of
from services.shared.tlog.merkle import verify_consistency
from services.shared.tlog.note import Note, NoteError, VerifierKey, open_note, parse_note
from services.shared.tlog.witnessing import SIZE_TYPE, Request, monitoring_path, parse_request
from services.witness.memory import Memory, Refusal, Seen

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    body: bytes
    content_type: str = TEXT


class _RefusedError(Exception):
    """An answer that is not 200."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.answer = Answer(status, f"{sentence}\n".encode())


class Witness:
    """Cosigns the checkpoints of some logs.

    Args:
        memory: what was seen before.
        cosigner: its key.
        keys: the logs' verifier keys; several under one name are keys of one log.
        now: the time, in POSIX seconds.
    """

    def __init__(self, memory: Memory, cosigner: Cosigner, keys: Iterable[VerifierKey], now: Callable[[], int]) -> None:
        self._memory, self._cosigner, self._now = memory, cosigner, now
        self._keys = _by_origin(keys)
        self._paths = {monitoring_path(origin): origin for origin in self._keys}

    def add_checkpoint(self, body: bytes) -> Answer:
        """Cosign what a request's body holds, if it may be."""
        try:
            request, checkpoint, text = self._read(body)
            return self._cosign(request, checkpoint, text)
        except _RefusedError as error:
            return error.answer
        except sqlite3.Error:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the witness cannot remember anything now; try again\n")

    def checkpoint_at(self, path: str) -> Answer:
        """The checkpoint cosigned last of the log that a path of monitoring names."""
        origin = self._paths.get(path)
        try:
            note = self._memory.shown().get(origin) if origin is not None else None
        except sqlite3.Error:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the witness cannot look up anything now; try again\n")
        if note is None:
            return Answer(HTTPStatus.NOT_FOUND, b"found nothing that was cosigned here\n")
        return Answer(HTTPStatus.OK, note)

    def _read(self, body: bytes) -> tuple[Request, Checkpoint, Note]:
        try:
            request = parse_request(body)
            note = parse_note(request.note)
        except NoteError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        keys = self._keys.get(note.text.partition("\n")[0])
        if keys is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "this witness does not know the log of that origin")
        return request, _signed(request.note, keys), _own_lines(note, keys)

    def _cosign(self, request: Request, checkpoint: Checkpoint, note: Note) -> Answer:
        if request.old > checkpoint.size:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the old size is larger than the checkpoint's")
        with self._memory.changing() as change:
            seen, now = change.seen(checkpoint.origin), self._now()
            if request.old != seen.size:
                return Answer(HTTPStatus.CONFLICT, f"{seen.size}\n".encode(), SIZE_TYPE)
            if reason := _inconsistency(seen, checkpoint, request.proof):
                change.keep(Refusal(checkpoint.origin, now, reason, seen.size, seen.note, request.note))
                return Answer(HTTPStatus.UNPROCESSABLE_ENTITY, f"{reason}\n".encode())
            if now < change.newest_time():
                raise _RefusedError(
                    HTTPStatus.SERVICE_UNAVAILABLE, "the witness's clock is behind what it cosigned last"
                )
            line = self._cosigner.cosign(note.text, now)
            change.advance(checkpoint.origin, Seen(checkpoint.size, checkpoint.root, _written(note) + line), now)
        return Answer(HTTPStatus.OK, line)


def _by_origin(keys: Iterable[VerifierKey]) -> Mapping[str, Sequence[VerifierKey]]:
    found: dict[str, list[VerifierKey]] = {}
    for key in keys:
        found.setdefault(key.name, []).append(key)
    return found


def _signed(data: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    try:
        text = open_note(data, keys).text
    except NoteError as error:
        raise _RefusedError(HTTPStatus.FORBIDDEN, str(error)) from None
    try:
        return parse_checkpoint(text)
    except NoteError as error:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None


def _inconsistency(seen: Seen, checkpoint: Checkpoint, proof: Sequence[bytes]) -> str | None:
    """Why the checkpoint does not continue what was seen; None when it does."""
    if verify_consistency(seen.size, checkpoint.size, seen.root, checkpoint.root, proof):
        return None
    if seen.size == checkpoint.size and seen.root != checkpoint.root:
        return f"another root was cosigned for {seen.size} entries: the log was rewritten, or shown in two versions"
    return f"the proof does not show that the {seen.size} entries seen before are the beginning of this log"


def _own_lines(note: Note, keys: Sequence[VerifierKey]) -> Note:
    """Without the lines of anybody else, of which there may be many."""
    known = {(key.name, key.key_id) for key in keys}
    return Note(note.text, tuple(line for line in note.signatures if (line.name, line.key_id) in known))


def _written(note: Note) -> bytes:
    return f"{note.text}\n".encode() + b"".join(map(line_of, note.signatures))
