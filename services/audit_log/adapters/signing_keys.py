"""The log's signing keys, as files: which of them sign now, one more, one fewer.

`log-ed25519` always signs. While keys are being changed, `log-ed25519-<key id>` signs beside it; the log's lock
"checkpoint" is held by who signs and by who changes keys. A retired key leaves `retired-<key id>.vkey`, so that what it
signed can still be read.
"""

import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.shared.errors import ConfigurationError
from services.shared.keys import key_bytes, write_durably, write_key
from services.shared.tlog.note import (
    KEY_BYTES,
    ML_DSA_PAYLOAD_BYTES,
    Ed25519Secret,
    MlDsa44Secret,
    NoteError,
    Signer,
    VerifierKey,
    parse_note,
    parse_vkey,
)

FIRST = "log-ed25519"
POST_QUANTUM = "log-mldsa44"
_BESIDE = re.compile(r"log-ed25519-[0-9a-f]{8}")
_DRAFT = ".new"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one log, in their folder; `origin` is the name of each of them."""

    folder: Path
    origin: str
    post_quantum: bool = False

    def signer(self, *, make: bool = False) -> Signer:
        """Who signs now. The first key is made when there is no file of it and `make` says so.

        Raises:
            ConfigurationError: a key file is missing, too open or damaged, or this machine cannot use it.
        """
        if not make and not (self.folder / FIRST).exists():
            raise ConfigurationError(
                f"found no key in {FIRST}; a new log gets one at its first start. If this log was signed before, put "
                "its key back from the backup; if there is none, go on under another name with `valvomo audit succeed`"
            )
        try:
            seed = key_bytes(self.folder / FIRST, make=make)
            return Signer(self.origin, seed, *self._beside(), *self._post_quantum())
        except NoteError as error:
            raise ConfigurationError(f"the log's keys cannot be used: {error}") from None

    def known(self) -> tuple[VerifierKey, ...]:
        """The keys that sign, and those that did."""
        return (*self.signer().keys, *self.retired())

    def retired(self) -> list[VerifierKey]:
        """Keys that signed this log once.

        Raises:
            ConfigurationError: one cannot be read.
        """
        try:
            found = [parse_vkey(path.read_text().strip()) for path in sorted(self.folder.glob("retired-*.vkey"))]
        except (NoteError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"a retired key in {self.folder.name} is damaged ({error}); restore it") from None
        return [key for key in found if key.name == self.origin]

    def add_post_quantum(self, newest: bytes | None) -> VerifierKey | None:
        """Make the ML-DSA-44 key where it is wanted and there is none; None when nothing was made.

        Args:
            newest: the newest checkpoint. One that such a key signed shows that the key was lost.

        Raises:
            ConfigurationError: it was lost, or this machine cannot use such a key.
        """
        path = self.folder / POST_QUANTUM
        if not self.post_quantum or path.exists():
            return None
        lines = parse_note(newest).signatures if newest else ()
        if any(line.name == self.origin and len(line.payload) == ML_DSA_PAYLOAD_BYTES for line in lines):
            raise ConfigurationError(
                f"found no key in {POST_QUANTUM}, though one signed the newest checkpoint: put it back from the "
                "backup, or go on without it (VALVOMO_LOG_POST_QUANTUM=false)"
            )
        try:
            return MlDsa44Secret(self.origin, key_bytes(path, make=True)).key
        except NoteError as error:
            path.unlink(missing_ok=True)
            raise ConfigurationError(f"VALVOMO_LOG_POST_QUANTUM cannot be used: {error}") from None

    def draft(self) -> VerifierKey:
        """One more key, that does not sign yet; the one that an interrupted change left, when there is one.

        Raises:
            ConfigurationError: two sign already.
        """
        if self._paths():
            raise ConfigurationError(
                "two keys sign this log already; expected one: retire the old one first (valvomo audit key retire)"
            )
        for left in sorted(self.folder.glob(f"{FIRST}-*{_DRAFT}")):
            return Ed25519Secret(self.origin, key_bytes(left, make=False)).key
        seed = secrets.token_bytes(KEY_BYTES)
        key = Ed25519Secret(self.origin, seed).key
        write_key(self._beside_path(key).with_suffix(_DRAFT), seed)
        return key

    def activate(self, key: VerifierKey) -> None:
        """Let a drafted key sign from now on."""
        self._beside_path(key).with_suffix(_DRAFT).rename(self._beside_path(key))

    def retire(self, key: VerifierKey, *, destroy: bool) -> None:
        """Let one of two keys sign no longer. Its file is put aside, or gone for good with `destroy`.

        At every moment a whole key lies at `log-ed25519`; interrupted, the same call goes on.
        """
        write_durably(self.folder / f"retired-{key.key_id.hex()}.vkey", f"{key}\n".encode())
        path = self._path_of(key)
        if not destroy:
            aside = self.folder / f"retired-{FIRST}-{key.key_id.hex()}"
            aside.unlink(missing_ok=True)
            os.link(path, aside)
        if path.name == FIRST:
            (other,) = self._paths()
            other.replace(path)
        else:
            path.unlink()

    def put_aside(self, tag: str) -> None:
        """Put every key of a log that is closed where nothing signs with it: `closed-<tag>-…`."""
        for path in sorted(self.folder.glob("*")):
            if path.name.startswith((FIRST, POST_QUANTUM, "retired-")):
                path.rename(self.folder / f"closed-{tag}-{path.name}")

    def _beside(self) -> Iterator[Ed25519Secret]:
        return (Ed25519Secret(self.origin, key_bytes(path, make=False)) for path in self._paths())

    def _post_quantum(self) -> Iterator[MlDsa44Secret]:
        if self.post_quantum:
            yield MlDsa44Secret(self.origin, key_bytes(self.folder / POST_QUANTUM, make=False))

    def _paths(self) -> list[Path]:
        return [path for path in sorted(self.folder.glob(f"{FIRST}-*")) if _BESIDE.fullmatch(path.name)]

    def _beside_path(self, key: VerifierKey) -> Path:
        return self.folder / f"{FIRST}-{key.key_id.hex()}"

    def _path_of(self, key: VerifierKey) -> Path:
        beside = self._beside_path(key)
        return beside if beside.exists() else self.folder / FIRST
