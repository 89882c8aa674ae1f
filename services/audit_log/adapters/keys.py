"""Secret files of the log: the signing key, and what the signer remembers. Outside the database on purpose."""

import json
import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.audit_log.domain.merkle import CompactRange
from services.shared.errors import ConfigurationError, TransientError

KEY_BYTES = 32
_PRIVATE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def secret(path: Path, *, make: bool) -> bytes:
    """The 32 secret bytes in a file that only its owner may read.

    Args:
        path: where they are.
        make: write new ones when there is no file.

    Raises:
        ConfigurationError: others may read or write the file, it holds something else, or it is missing.
        TransientError: a new one cannot be written now.
    """
    if not path.exists():
        if not make:
            raise ConfigurationError(
                f"found no key in {path.name}; a new log gets one at its first start, else put the log's own key back"
            )
        _make(path)
    if path.stat().st_mode & _OTHERS:
        raise ConfigurationError(f"others than its owner may use the key in {path.name}: run chmod 600 on it")
    found = path.read_bytes()
    if len(found) != KEY_BYTES:
        raise ConfigurationError(
            f"found {len(found)} bytes in the key file {path.name}, expected {KEY_BYTES}: restore it"
        )
    return found


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file by one that only its owner may read: whole or not at all, also when power fails.

    Raises:
        TransientError: the disk is full or does not answer; the file is as it was.
    """
    try:
        new = path.with_name(f"{path.name}.new")
        _write(new, data, os.O_TRUNC)
        new.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _not_written(path, error) from error


def _make(path: Path) -> None:
    """Write a new secret beside and link it into place: of two that start at once, one wins and both read it."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _write(draft, secrets.token_bytes(KEY_BYTES), os.O_EXCL)
            with suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise _not_written(path, error) from error


def _write(path: Path, data: bytes, flag: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flag, _PRIVATE), "wb") as file:
        file.write(data)  # all of it: a bare os.write may stop where the disk is full
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _not_written(path: Path, error: OSError) -> TransientError:
    return TransientError(f"{path.name} cannot be written ({error.strerror}): look at the disk; it is tried again")


@dataclass(frozen=True, slots=True)
class SignerMemory:
    """The tree that was signed last, kept outside the database: what comes next must begin with it."""

    path: Path

    def load(self) -> CompactRange | None:
        """The tree as remembered; None before the first signature.

        Raises:
            ConfigurationError: the file cannot be read as such.
        """
        if not self.path.exists():
            return None
        try:
            found = json.loads(self.path.read_text())
            return CompactRange(found["size"], [bytes.fromhex(node) for node in found["nodes"]])
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{self.path.name} is damaged; restore it: it says what was signed last") from None

    def save(self, size: int, nodes: Sequence[bytes]) -> None:
        document = {"size": size, "nodes": [node.hex() for node in nodes]}
        write_durably(self.path, json.dumps(document).encode())
