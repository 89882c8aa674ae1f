"""C2SP cosignatures: a witness says that, at a time, this was the largest consistent tree it had seen of a log.

Source: c2sp.org/tlog-cosignature (read November 2026). Timestamped Ed25519 (type 0x04) is written and read, ML-DSA-44
(type 0x06) is read.
"""

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.shared.tlog.note import (
    KEY_BYTES,
    ML_DSA_44,
    ML_DSA_KEY_BYTES,
    Note,
    NoteError,
    Signature,
    VerifierKey,
    format_vkey,
    key_id,
    split_vkey,
)

COSIGNATURE_ED25519 = 0x04
MAX_TIME = 2**63 - 1
_TIME_BYTES = 8
_MATERIAL_BYTES = {COSIGNATURE_ED25519: KEY_BYTES, ML_DSA_44: ML_DSA_KEY_BYTES}


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A witness's public key with the name it cosigns under; `kind` is its type in C2SP.

    Raises:
        NoteError: the name cannot stand in a note, the key lets forged signatures pass, or is of a kind that this
            machine's library does not know.
    """

    name: str
    public_key: bytes
    kind: int = COSIGNATURE_ED25519

    def __post_init__(self) -> None:
        self._plain()

    def _plain(self) -> VerifierKey:
        """The key as notes have it. An Ed25519 key signs the time in front of the text; an ML-DSA-44 key always so."""
        if self.kind == COSIGNATURE_ED25519:
            return VerifierKey(self.name, self.public_key)
        return VerifierKey(self.name, self.public_key, self.kind)

    @property
    def key_id(self) -> bytes:
        """Four bytes that help to find the key. The same Ed25519 key that signs notes has another id."""
        return key_id(self.name, self.kind, self.public_key)

    def __str__(self) -> str:
        return format_vkey(self.name, self.kind, self.public_key)

    def made(self, signature: Signature) -> bool:
        """Whether a signature line says that it is this key's."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def verify(self, text: str, payload: bytes) -> int:
        """When the checkpoint `text` was cosigned, in POSIX seconds.

        Raises:
            NoteError: the payload is no cosignature of this key over this text.
        """
        at = int.from_bytes(payload[:_TIME_BYTES])
        timed = self.kind == ML_DSA_44
        message, signature = (text.encode(), payload) if timed else (_message(text, at), payload[_TIME_BYTES:])
        if len(payload) <= _TIME_BYTES or at > MAX_TIME or not self._plain().verifies(message, signature):
            raise NoteError("a cosignature does not fit the checkpoint: one of them was altered")
        return at


def parse_cosigner_key(text: str) -> CosignerKey:
    """The witness key that one line `name+id+key` writes out.

    Raises:
        NoteError: it is no key of a witness, its id does not fit, or the key must not be trusted.
    """
    name, kind, public_key = split_vkey(text)
    if _MATERIAL_BYTES.get(kind) != len(public_key):
        raise NoteError(
            "not a witness's key: expected timestamped Ed25519 (type 04, 32 bytes), as `valvomo witness key` prints "
            "it, or ML-DSA-44 (type 06, 1312 bytes)"
        )
    return CosignerKey(name, public_key, kind)


class Cosigner:
    """Cosigns checkpoints under one name.

    Args:
        name: the witness's name.
        seed: the 32 secret bytes of an Ed25519 key, which must not serve a second cosigner: what is signed does not
            hold the name.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = CosignerKey(name, self._private.public_key().public_bytes_raw())

    def cosign(self, text: str, at: int) -> bytes:
        """The signature line over the checkpoint `text` at a time in POSIX seconds."""
        if not 0 <= at <= MAX_TIME:
            raise NoteError(f"found the time {at}, expected seconds since 1970")
        payload = at.to_bytes(_TIME_BYTES) + self._private.sign(_message(text, at))
        return line_of(Signature(self.key.name, self.key.key_id, payload))


def cosigned_at(note: Note, key: CosignerKey) -> int | None:
    """When the key cosigned the note, the newest time if it did so more than once; None when it did not.

    Raises:
        NoteError: a line of this key does not verify.
    """
    return max((key.verify(note.text, line.payload) for line in note.signatures if key.made(line)), default=None)


def line_of(signature: Signature) -> bytes:
    """A signature line, with its newline, as it was parsed."""
    payload = base64.b64encode(signature.key_id + signature.payload).decode()
    return f"\N{EM DASH} {signature.name} {payload}\n".encode()


def _message(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()
