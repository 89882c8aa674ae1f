"""C2SP cosignatures: a witness says that, at a time, this was the largest consistent tree it had seen of a log.

Source: c2sp.org/tlog-cosignature (read November 2026). Timestamped Ed25519 (type 0x04) is written and read.
"""

import base64
import re
import struct
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.shared.tlog.note import KEY_BYTES, Note, NoteError, Signature, VerifierKey, decode_base64

COSIGNATURE_ED25519 = 0x04
MAX_TIME = 2**63 - 1
_KEY_ID_BYTES = 4
_PAYLOAD = struct.Struct(">Q64s")
_DASH = "\N{EM DASH}"
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+(\S+)")


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A witness's public key with the name it cosigns under.

    Raises:
        NoteError: the name cannot stand in a note, or the key lets forged signatures pass.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        VerifierKey(self.name, self.public_key)

    @property
    def key_id(self) -> bytes:
        """Four bytes that help to find the key. The same key that signs notes has another id."""
        return sha256(self.name.encode() + b"\n" + self._material).digest()[:_KEY_ID_BYTES]

    @property
    def _material(self) -> bytes:
        return bytes([COSIGNATURE_ED25519]) + self.public_key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._material).decode()}"

    def made(self, signature: Signature) -> bool:
        """Whether a signature line says that it is this key's."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def verify(self, text: str, payload: bytes) -> int:
        """When the checkpoint `text` was cosigned, in POSIX seconds.

        Raises:
            NoteError: the payload is no cosignature of this key over this text.
        """
        if len(payload) != _PAYLOAD.size:
            raise NoteError(f"found a cosignature of {len(payload)} bytes, expected {_PAYLOAD.size}")
        at, signature = _PAYLOAD.unpack(payload)
        if at > MAX_TIME or not VerifierKey(self.name, self.public_key).verifies(_message(text, at), signature):
            raise NoteError("a cosignature does not fit the checkpoint: one of them was altered")
        return int(at)


def parse_cosigner_key(text: str) -> CosignerKey:
    """The witness key that one line `name+id+key` writes out.

    Raises:
        NoteError: it is no key of a witness, its id does not fit, or the key must not be trusted.
    """
    found = _VKEY.fullmatch(text)
    if found is None:
        raise NoteError("not a witness's key; expected name+8 hex digits+base64, as `valvomo witness key` prints it")
    material = decode_base64(found[3])
    if len(material) != 1 + KEY_BYTES or material[0] != COSIGNATURE_ED25519:
        raise NoteError("not a witness's key: expected type 04 (timestamped Ed25519) and 32 bytes")
    key = CosignerKey(found[1], material[1:])
    if key.key_id.hex() != found[2]:
        raise NoteError(
            f"the witness's key says id {found[2]}, its own bytes give {key.key_id.hex()}: it was mistyped or altered"
        )
    return key


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
        payload = _PAYLOAD.pack(at, self._private.sign(_message(text, at)))
        return signature_line(Signature(self.key.name, self.key.key_id, payload))


def cosigned_at(note: Note, key: CosignerKey) -> int | None:
    """When the key cosigned the note, the newest time if it did so more than once; None when it did not.

    Raises:
        NoteError: a line of this key does not verify.
    """
    return max((key.verify(note.text, line.payload) for line in note.signatures if key.made(line)), default=None)


def signature_line(signature: Signature) -> bytes:
    """A signature as it stands in a note."""
    return f"{_DASH} {signature.name} {base64.b64encode(signature.key_id + signature.payload).decode()}\n".encode()


def _message(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()
