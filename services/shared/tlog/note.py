"""C2SP signed notes: a text, an empty line, signature lines.

Two kinds of signatures are read and written: Ed25519 over the text (type 0x01), and ML-DSA-44 over the checkpoint that
the text is, with a time (type 0x06).

Sources: c2sp.org/signed-note, c2sp.org/tlog-cosignature (read November 2026). Parsing is strict: what has two
spellings is refused, since a signature that two programs read differently proves nothing.
"""

import base64
import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # before cryptography 47
    mldsa = None  # type: ignore[assignment]  # `_ml_dsa` says so to who asks for it

ED25519 = 0x01
ML_DSA_44 = 0x06
KEY_BYTES = 32
"""Of an Ed25519 public key, and of the secret seed of either kind."""
ML_DSA_KEY_BYTES = 1_312
ML_DSA_PAYLOAD_BYTES = 8 + 2_420
"""The time of signing, and the signature."""
_MATERIAL_BYTES = {ED25519: KEY_BYTES, ML_DSA_44: ML_DSA_KEY_BYTES}
_TIME_BYTES = 8
_ROOT_BYTES = 32
_CHECKPOINT_LINES = 3
_KEY_ID_BYTES = 4
_MAX_NOTE_BYTES = 1_000_000
_MAX_SIGNATURES = 64
_DASH = "\N{EM DASH}"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_SUBTREE = b"subtree/v1\n\0"
_MAX_PREFIXED = 255
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
    """A public key with the name it signs under; `kind` is its type in C2SP.

    Raises:
        NoteError: the name cannot stand in a note, the key lets forged signatures pass, or is of a kind that this
            machine's library does not know.
    """

    name: str
    public_key: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.kind == ML_DSA_44:
            _ml_dsa_public(self.public_key)
        else:
            check_point(self.public_key)

    @property
    def key_id(self) -> bytes:
        """Four bytes that help to find the key; they prove nothing."""
        return key_id(self.name, self.kind, self.public_key)

    def __str__(self) -> str:
        return format_vkey(self.name, self.kind, self.public_key)

    def verifies(self, message: bytes, payload: bytes) -> bool:
        """Whether `payload` (what follows the key id in a signature line) is this key's for the message.

        For an ML-DSA-44 key the message is a checkpoint's text, and the payload begins with the time of signing.
        """
        try:
            if self.kind == ML_DSA_44:
                timed = _timed(self.name, payload, message.decode())
                _ml_dsa_public(self.public_key).verify(payload[_TIME_BYTES:], timed)
            else:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(payload, message)
        except (InvalidSignature, ValueError):  # ValueError: NoteError, and a signature of another length
            return False
        return True


def key_id(name: str, kind: int, public_key: bytes) -> bytes:
    """The four bytes by which a signature line names its key."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:_KEY_ID_BYTES]


def format_vkey(name: str, kind: int, public_key: bytes) -> str:
    """A verifier key of any type, as one line."""
    return f"{name}+{key_id(name, kind, public_key).hex()}+{base64.b64encode(bytes([kind]) + public_key).decode()}"


def split_vkey(text: str) -> tuple[str, int, bytes]:
    """Name, type and key material of a verifier key of any type; its id fits.

    Raises:
        NoteError: it is no verifier key, or its id does not fit.
    """
    found = _VKEY.fullmatch(text)
    if found is None:
        raise NoteError("not a verifier key; expected name+8 hex digits+base64, as `valvomo audit key` prints it")
    check_name(found[1])
    material = decode_base64(found[3])
    if not material:
        raise NoteError("the verifier key holds no key")
    expected = key_id(found[1], material[0], material[1:]).hex()
    if expected != found[2]:
        raise NoteError(
            f"the verifier key says id {found[2]}, its own bytes give {expected}: it was mistyped or altered"
        )
    return found[1], material[0], material[1:]


def parse_vkey(text: str) -> VerifierKey:
    """The verifier key that one line `name+id+key` writes out.

    Raises:
        NoteError: it is no Ed25519 or ML-DSA-44 verifier key, its id does not fit, or the key must not be trusted.
    """
    name, kind, public_key = split_vkey(text)
    if _MATERIAL_BYTES.get(kind) != len(public_key):
        raise NoteError(
            "the verifier key is not an Ed25519 key (type 01, 32 bytes) nor an ML-DSA-44 key (type 06, 1312 bytes)"
        )
    return VerifierKey(name, public_key, kind)


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


class SecretKey(Protocol):
    """Signs a note's text under one name."""

    @property
    def key(self) -> VerifierKey: ...

    def payload(self, text: str, seconds: int) -> bytes:
        """What stands after the key id in a signature line; `seconds` is the time of signing (POSIX).

        Raises:
            NoteError: this kind of key does not sign such a text.
        """
        ...


class Ed25519Secret:
    """Signs any text.

    Args:
        name: the key's name.
        seed: its 32 secret bytes.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(name, self._private.public_key().public_bytes_raw())

    def payload(self, text: str, seconds: int) -> bytes:  # noqa: ARG002  # this kind says no time
        return self._private.sign(text.encode())


class MlDsa44Secret:
    """Signs checkpoints, with the time, in a way that a quantum computer does not break.

    Args:
        name: the key's name.
        seed: its 32 secret bytes.

    Raises:
        NoteError: this machine's library cannot.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        library = _ml_dsa()
        try:
            self._private = library.MLDSA44PrivateKey.from_seed_bytes(seed)
        except UnsupportedAlgorithm:
            raise _no_ml_dsa() from None
        self.key = VerifierKey(name, self._private.public_key().public_bytes_raw(), ML_DSA_44)

    def payload(self, text: str, seconds: int) -> bytes:
        time = seconds.to_bytes(_TIME_BYTES)
        signature: bytes = self._private.sign(_timed(self.key.name, time, text))
        return time + signature


class Signer:
    """Signs notes under one name, with one line per key.

    Args:
        name: the keys' name; a log uses its origin.
        seed: the 32 secret bytes of an Ed25519 key.
        others: more keys of that name, whose lines follow.
    """

    def __init__(self, name: str, seed: bytes, *others: SecretKey) -> None:
        self._secrets: tuple[SecretKey, ...] = (Ed25519Secret(name, seed), *others)
        if {secret.key.name for secret in self._secrets} != {name}:
            raise NoteError("the keys of one signer have one name")

    @property
    def key(self) -> VerifierKey:
        """The first key's."""
        return self._secrets[0].key

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        return tuple(secret.key for secret in self._secrets)

    def sign(self, text: str, seconds: int = 0) -> bytes:
        """The signed note over `text`, which ends in a newline; `seconds` is the time of signing (POSIX, 0: untold).

        Raises:
            NoteError: the text cannot be a note's, or not one that all of the keys sign.
        """
        if not text.endswith("\n") or any(character < " " and character != "\n" for character in text):
            raise NoteError("a note's text ends in a newline and has no other control characters")
        lines = [signature_line(secret.key, secret.payload(text, seconds)) for secret in self._secrets]
        return "\n".join([text, *lines, ""]).encode()


def signature_line(key: VerifierKey, payload: bytes) -> str:
    """A signature as a note writes it, without the newline."""
    return f"{_DASH} {key.name} {base64.b64encode(key.key_id + payload).decode()}"


def _ml_dsa() -> Any:  # noqa: ANN401  # a module, or none
    if mldsa is None:
        raise _no_ml_dsa()
    return mldsa


def _no_ml_dsa() -> NoteError:
    return NoteError(
        "ML-DSA-44 is unknown to the cryptography library of this machine; install a newer one, or use the Ed25519 key"
    )


def _ml_dsa_public(key: bytes) -> Any:  # noqa: ANN401  # a class of a module that may be missing
    if len(key) != ML_DSA_KEY_BYTES:
        raise NoteError(f"found an ML-DSA-44 key of {len(key)} bytes, expected {ML_DSA_KEY_BYTES}")
    try:
        return _ml_dsa().MLDSA44PublicKey.from_public_bytes(key)
    except UnsupportedAlgorithm:
        raise _no_ml_dsa() from None


def _timed(name: str, payload: bytes, text: str) -> bytes:
    """The message under an ML-DSA-44 signature: C2SP's subtree from 0, at the time that `payload` begins with.

    It does not cover more than origin, size and root; so a text with more lines is not signed, and none is trusted.
    """
    lines = text.split("\n")
    if len(lines) != _CHECKPOINT_LINES + 1 or _SIZE.fullmatch(lines[1]) is None:
        raise NoteError("an ML-DSA-44 key signs checkpoints only: three lines, origin, size and root")
    root = decode_base64(lines[2])
    if len(root) != _ROOT_BYTES or int(lines[1]) >= 1 << 63:
        raise NoteError("an ML-DSA-44 key signs checkpoints only: a size below 2^63 and a root of 32 bytes")
    numbers = [(0).to_bytes(8), int(lines[1]).to_bytes(8)]
    return b"".join([_SUBTREE, _prefixed(name), payload[:_TIME_BYTES], _prefixed(lines[0]), *numbers, root])


def _prefixed(text: str) -> bytes:
    data = text.encode()
    if not 0 < len(data) <= _MAX_PREFIXED:
        raise NoteError(f"found a name of {len(data)} bytes, an ML-DSA-44 signature holds 1 to {_MAX_PREFIXED}")
    return bytes([len(data)]) + data


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
    check_name(parts[1])
    payload = decode_base64(parts[2])
    if len(payload) <= _KEY_ID_BYTES:
        raise NoteError("a signature line holds no signature")
    return Signature(parts[1], payload[:_KEY_ID_BYTES], payload[_KEY_ID_BYTES:])


def check_name(name: str) -> None:
    """Refuse what cannot stand in a signature line as a key's name."""
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise NoteError("a key's name is not empty and has no spaces and no plus sign")


def check_point(key: bytes) -> None:
    """Refuse an Ed25519 public key that is damaged or lets forgeries pass."""
    if len(key) != KEY_BYTES:
        raise NoteError(f"found a key of {len(key)} bytes, expected {KEY_BYTES}")
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    if y >= _PRIME or y in _SMALL_ORDER:
        raise NoteError("this public key is of small order or not canonical: forged signatures would verify under it")
