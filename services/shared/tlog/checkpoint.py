"""C2SP checkpoints: what the log's signer says about a whole tree in three lines (origin, size, root).

Source: c2sp.org/tlog-checkpoint (read November 2026).
"""

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass

from services.shared.tlog.merkle import HASH_BYTES
from services.shared.tlog.note import NoteError, Signer, VerifierKey, decode_base64, open_note

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MAX_SIZE = 2**63 - 1
_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree as its signer names it: `size` entries under `root`."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(signer: Signer, size: int, root: bytes, seconds: int = 0) -> bytes:
    """A checkpoint under the signer's name, as a note; `seconds`: when it is signed (POSIX), for keys that say so."""
    return signer.sign(Checkpoint(signer.key.name, size, root).text, seconds)


def open_checkpoint(data: bytes, key: VerifierKey | Collection[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note that `key` (or one of several keys of one name) signed; its origin is the key's name.

    Raises:
        NoteError: the signature, the origin, the size or the root is not what it must be.
    """
    keys = [key] if isinstance(key, VerifierKey) else key
    text = open_note(data, keys).text
    checkpoint = parse_checkpoint(text)
    if {known.name for known in keys} != {checkpoint.origin}:
        raise NoteError("the checkpoint is of another log: its origin is not the name of the key that was given")
    return checkpoint


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text writes out; extension lines are allowed and ignored.

    Raises:
        NoteError: fewer than three lines, an empty one, a size with two spellings, a root that is not 32 bytes.
    """
    lines = text.split("\n")[:-1]
    if len(lines) < _LINES or not all(lines):
        raise NoteError("a checkpoint has three lines or more, none of them empty: origin, size, root")
    if _SIZE.fullmatch(lines[1]) is None or int(lines[1]) > _MAX_SIZE:
        raise NoteError("a checkpoint's size is a plain decimal number without leading zeros, below 2^63")
    root = decode_base64(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError(f"found a root of {len(root)} bytes, expected {HASH_BYTES}")
    return Checkpoint(lines[0], int(lines[1]), root)
