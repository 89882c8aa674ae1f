"""C2SP signed notes: a text, an empty line, signature lines. Ed25519 (type 0x01) is read and written.

Source: c2sp.org/signed-note (read November 2026). Parsing is strict: what has two spellings is refused, since a
signature that two programs read differently proves nothing.
"""

import base64
import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
KEY_BYTES = 32
_KEY_ID_BYTES = 4
_MAX_NOTE_BYTES = 1_000_000
_MAX_SIGNATURES = 64
_DASH = "\N{EM DASH}"
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+(\S+)")

_PRIME = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = frozenset({0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8})
"""The y coordinates of the eight points under which a signature can fit every message."""


class NoteError(ValueError):
    """A note, a key or a signature is not what it must be; the sentence says how."""


class UnknownSignerError(NoteError):
    """A note may be good, but none of the keys at hand signed it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who is said to have signed, and the signature itself."""

    name: str
    key_id: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note. `text` ends in a newline and is what is signed."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under.

    Raises:
        NoteError: the name cannot stand in a note, or the key lets forged signatures pass.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_point(self.public_key)

    @property
    def key_id(self) -> bytes:
        """Four bytes that help to find the key; they prove nothing."""
        return sha256(self.name.encode() + b"\n" + bytes([ED25519]) + self.public_key).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([ED25519]) + self.public_key).decode()}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_vkey(text: str) -> VerifierKey:
    """The verifier key that one line `name+id+key` writes out.

    Raises:
        NoteError: it is no Ed25519 verifier key, its id does not fit, or the key must not be trusted.
    """
    found = _VKEY.fullmatch(text)
    if found is None:
        raise NoteError("not a verifier key; expected name+8 hex digits+base64, as `valvomo audit key` prints it")
    material = decode_base64(found[3])
    if len(material) != 1 + KEY_BYTES or material[0] != ED25519:
        raise NoteError("the verifier key is not an Ed25519 key (type 01, 32 bytes)")
    key = VerifierKey(found[1], material[1:])
    if key.key_id.hex() != found[2]:
        raise NoteError(
            f"the verifier key says id {found[2]}, its own bytes give {key.key_id.hex()}: it was mistyped or altered"
        )
    return key


def parse_note(data: bytes) -> Note:
    """The note that these bytes are.

    Raises:
        NoteError: too large, not UTF-8, with control characters, or not text, empty line, signature lines.
    """
    text = _decode(data)
    at = text.rfind("\n\n")
    if at < 0 or not text.endswith("\n"):
        raise NoteError("not a signed note: expected a text, an empty line, and signature lines that end in a newline")
    lines = text[at + 2 :].split("\n")[:-1]
    if not 0 < len(lines) <= _MAX_SIGNATURES:
        raise NoteError(f"found {len(lines)} signature lines, expected 1 to {_MAX_SIGNATURES}")
    return Note(text[: at + 1], tuple(_parse_signature(line) for line in lines))


def open_note(data: bytes, keys: Collection[VerifierKey]) -> Note:
    """The note, signed by at least one of `keys`. Lines of other keys are passed over.

    Raises:
        UnknownSignerError: no line is of a known key.
        NoteError: not a note, or a line of a known key that does not verify.
    """
    note = parse_note(data)
    known = {(key.name, key.key_id): key for key in keys}
    mine = [
        (known[signature.name, signature.key_id], signature)
        for signature in note.signatures
        if (signature.name, signature.key_id) in known
    ]
    if not mine:
        raise UnknownSignerError("the note is not signed by the key that was given")
    for key, signature in mine:
        if not key.verifies(note.text.encode(), signature.payload):
            raise NoteError("the note's signature does not fit its text: one of them was altered")
    return note


class Signer:
    """Signs notes under one name.

    Args:
        name: the key's name; a log uses its origin.
        seed: the 32 secret bytes of an Ed25519 key.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(name, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> bytes:
        """The signed note over `text`, which ends in a newline.

        Raises:
            NoteError: the text cannot be a note's.
        """
        if not text.endswith("\n") or any(character < " " and character != "\n" for character in text):
            raise NoteError("a note's text ends in a newline and has no other control characters")
        payload = self.key.key_id + self._private.sign(text.encode())
        return f"{text}\n{_DASH} {self.key.name} {base64.b64encode(payload).decode()}\n".encode()


def decode_base64(text: str) -> bytes:
    """The bytes, from the one canonical base64 spelling of them.

    Raises:
        NoteError: the text is not base64, or not in its canonical form.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise NoteError("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise NoteError("base64 that is not in its canonical form")
    return data


def _decode(data: bytes) -> str:
    if len(data) > _MAX_NOTE_BYTES:
        raise NoteError(f"found a note of {len(data)} bytes, at most {_MAX_NOTE_BYTES} are read")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise NoteError("a note is UTF-8; this is not") from None
    if any((character < " " and character != "\n") or character == "\x7f" for character in text):
        raise NoteError("a note has no control characters but newlines; were its line ends converted?")
    return text


def _parse_signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH:  # noqa: PLR2004  # dash, name, signature
        raise NoteError("a signature line is an em dash, a name and base64, with single spaces between them")
    _check_name(parts[1])
    payload = decode_base64(parts[2])
    if len(payload) <= _KEY_ID_BYTES:
        raise NoteError("a signature line holds no signature")
    return Signature(parts[1], payload[:_KEY_ID_BYTES], payload[_KEY_ID_BYTES:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise NoteError("a key's name is not empty and has no spaces and no plus sign")


def _check_point(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise NoteError(f"found a key of {len(key)} bytes, expected {KEY_BYTES}")
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    if y >= _PRIME or y in _SMALL_ORDER:
        raise NoteError("this public key is of small order or not canonical: forged signatures would verify under it")
