"""C2SP tlog-proofs: one entry's way into a signed tree, as a file that a stranger verifies without asking the log.

Source: c2sp.org/tlog-proof (read November 2026). Next to the file goes the entry, byte for byte: the proof is of its
hash alone. Parsing is strict, as it is for notes.
"""

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass

from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.merkle import HASH_BYTES, NodeReader, inclusion_proof, leaf_hash, verify_inclusion
from services.shared.tlog.note import NoteError, VerifierKey, decode_base64, open_note, parse_note

SUFFIX = ".tlog-proof"
_TITLE = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)
_EXTRA = "extra "
_MOST_HASHES = 63


class ProofError(ValueError):
    """A proof is not what it must be; the sentence says how."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed proof: nothing in it is believed before `verify_proof`.

    `extra` is what whoever made the file added; nobody has signed it. `checkpoint` is a note, with all its signatures.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The file."""
        extra = [] if self.extra is None else [_EXTRA + base64.b64encode(self.extra).decode()]
        hashes = [base64.b64encode(hashed).decode() for hashed in self.hashes]
        return "\n".join([_TITLE, *extra, f"index {self.index}", *hashes, "\n"]).encode() + self.checkpoint


def make_proof(index: int, checkpoint: bytes, node: NodeReader) -> Proof:
    """That entry `index` is in the tree which a checkpoint names.

    Args:
        index: from 0.
        checkpoint: the signed note.
        node: the complete subtrees of that tree, or of one that has grown from it.

    Raises:
        ValueError: the tree has no such entry.
        NoteError: the note is no checkpoint.
    """
    size = parse_checkpoint(parse_note(checkpoint).text).size
    return Proof(index, tuple(inclusion_proof(index, size, node)), checkpoint)


def parse_proof(data: bytes) -> Proof:
    """The proof that a file holds; whether it proves anything is for `verify_proof` to say.

    Raises:
        ProofError: the lines are not those of a proof, or have another spelling.
    """
    head, separator, note = data.partition(b"\n\n")
    try:
        title, *lines = head.decode().split("\n")
    except UnicodeDecodeError:
        raise ProofError("a proof is UTF-8; this is not") from None
    if title != _TITLE or not separator:
        raise ProofError(f"not a proof: expected the line {_TITLE}, an index, hashes, an empty line and a checkpoint")
    extra = _decoded(lines.pop(0).removeprefix(_EXTRA)) if lines and lines[0].startswith(_EXTRA) else None
    index = _INDEX.fullmatch(lines[0]) if lines else None
    if index is None:
        raise ProofError("expected a line `index` with a plain decimal number after the title")
    return Proof(int(index[1]), _hashes(lines[1:]), note, extra)


def verify_proof(proof: Proof, entry: bytes, keys: Collection[VerifierKey]) -> Checkpoint:
    """The checkpoint under which the entry stands; only returned when everything holds.

    Args:
        proof: as parsed.
        entry: the exact bytes.
        keys: the log's keys, from the auditor's side; the checkpoint must be signed by one, and be of its log.

    Raises:
        UnknownSignerError: none of the keys signed the checkpoint.
        NoteError: the checkpoint is damaged, or of another log.
        ProofError: the hashes do not lead from these bytes, at this index, to the signed root.
    """
    checkpoint = parse_checkpoint(open_note(proof.checkpoint, keys).text)
    if checkpoint.origin not in {key.name for key in keys}:
        raise NoteError("the checkpoint is of another log: its origin is not the name of a key that was given")
    if not verify_inclusion(proof.index, checkpoint.size, leaf_hash(entry), proof.hashes, checkpoint.root):
        raise ProofError(
            f"the hashes do not lead from these bytes, as entry {proof.index}, to the root that was signed over "
            f"{checkpoint.size} entries: the entry, its index or the proof was altered"
        )
    return checkpoint


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > _MOST_HASHES:
        raise ProofError(f"found {len(lines)} hashes, a proof has at most {_MOST_HASHES}")
    hashes = tuple(_decoded(line) for line in lines)
    if any(len(hashed) != HASH_BYTES for hashed in hashes):
        raise ProofError(f"found a hash that is not {HASH_BYTES} bytes long")
    return hashes


def _decoded(text: str) -> bytes:
    try:
        return decode_base64(text)
    except NoteError as error:
        raise ProofError(f"a line of the proof is {error}") from None
