"""Checkpoints: who signed them, and whether all of them are about one growing log."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.note import NoteError, UnknownSignerError, VerifierKey, open_note
from services.verifier.damage import Damage, Notice, damage, notice
from services.verifier.words import printable

NOTES = "checkpoints"


class Signed(NamedTuple):
    """A checkpoint that a trusted key has signed, and what to call it. `kept`: it comes from the auditor."""

    name: str
    checkpoint: Checkpoint
    kept: bool


def open_checkpoint(data: bytes, keys: Collection[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note that one of `keys` signed; its origin is that key's name.

    Raises:
        UnknownSignerError: none of the keys signed it.
        NoteError: a signature, the origin, the size or the root is not what it must be.
    """
    note = open_note(data, keys)
    checkpoint = parse_checkpoint(note.text)
    known = {(key.name, key.key_id) for key in keys}
    signers = {line.name for line in note.signatures if (line.name, line.key_id) in known}
    if checkpoint.origin not in signers:
        raise NoteError("the checkpoint is of another log: its origin is not the name of a key that was given")
    return checkpoint


def open_all(
    notes: Iterable[tuple[str, bytes]], keys: Collection[VerifierKey], found: list[Damage], *, kept: bool
) -> Iterator[Signed]:
    """The checkpoints that can be believed; what is wrong with the others goes to `found`.

    A kept one that is damaged says nothing about the log: it lay with the auditor.
    """
    for name, note in notes:
        try:
            yield Signed(name, open_checkpoint(note, keys), kept)
        except UnknownSignerError as error:
            found.append(damage("unknown_key", "checkpoint.unknown", note=printable(name), what=str(error)))
        except NoteError as error:
            found.append(
                damage("unreadable" if kept else "checkpoint", "checkpoint.bad", note=printable(name), what=str(error))
            )


def cut_off(signed: Iterable[Signed], tip: Checkpoint) -> Iterator[Damage]:
    """Checkpoints over more entries than there are now."""
    for one in signed:
        size = one.checkpoint.size
        if size > tip.size:
            values: dict[str, str | int] = {"note": printable(one.name), "signed": size, "size": tip.size}
            yield damage("truncated", "truncated", tip.size, size - 1, **values)


def forks(signed: Iterable[Signed], tip: Checkpoint, roots: Mapping[int, bytes]) -> Iterator[Damage]:
    """Checkpoints over other first entries than these."""
    for one in signed:
        size, root = one.checkpoint.size, one.checkpoint.root
        expected = tip.root if size == tip.size else roots.get(size)
        if expected is not None and expected != root:
            yield damage("fork", "fork", 0, max(size - 1, 0), note=printable(one.name), signed=size)


def other_origins(signed: Iterable[Signed], tip: Checkpoint) -> Iterator[Damage]:
    """Checkpoints of another log, although a trusted key signed them."""
    for one in signed:
        if one.checkpoint.origin != tip.origin:
            yield damage(
                "unknown_key" if one.kept else "checkpoint",
                "checkpoint.other_log",
                note=printable(one.name),
                found=printable(one.checkpoint.origin),
                expected=printable(tip.origin),
            )


def misfiled(own: Iterable[Signed]) -> Iterator[Damage]:
    """Checkpoints that lie under the number of another one."""
    for one in own:
        place, _, number = one.name.rpartition("/")
        if place == NOTES and number.isascii() and number.isdigit() and int(number) != one.checkpoint.size:
            found = one.checkpoint.size
            yield damage("checkpoint", "row.name", note=printable(one.name), found=found, expected=int(number))


def unlisted(signed: Sequence[Signed]) -> Iterator[Notice]:
    """Checkpoints that the auditor kept and that the export does not list any more."""
    listed = {one.checkpoint.size for one in signed if not one.kept}
    for one in signed:
        if one.kept and one.checkpoint.size not in listed:
            yield notice("unlisted", "notice.unlisted", note=printable(one.name), signed=one.checkpoint.size)
