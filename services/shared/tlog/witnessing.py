"""What a log asks a witness: to cosign a checkpoint that continues the one it saw last.

Source: c2sp.org/tlog-witness (read November 2026).
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from services.shared.tlog.merkle import HASH_BYTES
from services.shared.tlog.note import NoteError, decode_base64

SIZE_TYPE = "text/x.tlog.size"
"""The content type of the answer 409: the size that the witness saw last, and a newline."""
MAX_PROOF = 63
MAX_REQUEST_BYTES = 65_536
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the size that is thought to have been seen last, the consistency proof from there, the checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def write_request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body of `POST <prefix>/add-checkpoint`."""
    lines = [f"old {old}", *(base64.b64encode(hashed).decode() for hashed in proof), "", ""]
    return "\n".join(lines).encode() + note


def parse_request(body: bytes) -> Request:
    """The request that a body is.

    Raises:
        NoteError: it is not written the one way it may be.
    """
    head, empty_line, note = body.partition(b"\n\n")
    if not empty_line or not note:
        raise NoteError("expected a line `old SIZE`, lines of a proof, an empty line, and a checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise NoteError("the lines before the checkpoint are ASCII; these are not") from None
    found = _OLD.fullmatch(lines[0])
    if found is None:
        raise NoteError("expected the first line to be `old` and a decimal size")
    if len(lines) - 1 > MAX_PROOF:
        raise NoteError(f"found a proof of {len(lines) - 1} hashes, at most {MAX_PROOF} can be needed")
    return Request(int(found[1]), tuple(_hash(line) for line in lines[1:]), note)


def parse_size(body: bytes) -> int | None:
    """The size in an answer 409; None when there is none."""
    found = _SIZE.fullmatch(body)
    return int(found[1]) if found else None


def monitoring_path(origin: str) -> str:
    """Where a witness shows the checkpoint that it cosigned last of a log."""
    return f"/{sha256(origin.encode()).hexdigest()}/checkpoint"


def _hash(line: str) -> bytes:
    hashed = decode_base64(line)
    if len(hashed) != HASH_BYTES:
        raise NoteError(f"found a hash of {len(hashed)} bytes in the proof, expected {HASH_BYTES}")
    return hashed
