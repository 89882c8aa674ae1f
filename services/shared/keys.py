"""Secret files: 32 random bytes in a file that only its owner may read, never printed, written whole or not at all."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from services.shared.errors import ConfigurationError, TransientError

KEY_BYTES = 32
_PRIVATE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_HEX_DIGITS = frozenset(b"0123456789abcdef")


def key_bytes(path: Path, *, make: bool) -> bytes:
    """The 32 secret bytes in a file: 64 hex digits (or, as older logs have it, the bytes themselves).

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
        _link(path, secrets.token_bytes(KEY_BYTES))  # of two that start at once, one wins and both read it
    return _read(path)


def write_key(path: Path, key: bytes) -> None:
    """Write a key that there is no file of yet.

    Raises:
        ConfigurationError: there is a file; it is left as it was.
        TransientError: it cannot be written now.
    """
    if not _link(path, key):
        raise ConfigurationError(f"there is a key in {path.name} already; it is not replaced")


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


def _link(path: Path, key: bytes) -> bool:
    """Write beside and link into place; False when somebody was first."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _write(draft, key.hex().encode(), os.O_EXCL)
            with suppress(FileExistsError):
                path.hardlink_to(draft)
                return True
            return False
        finally:
            draft.unlink(missing_ok=True)
            _sync_folder(path.parent)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigurationError(
            f"the key file {path} cannot be used ({error.strerror}); look at its folder and who owns it"
        ) from None
    except OSError as error:
        raise _not_written(path, error) from error


def _read(path: Path) -> bytes:
    rights = path.stat().st_mode
    if rights & _OTHERS:
        raise ConfigurationError(
            f"found rights {stat.S_IMODE(rights):04o} on {path.name}, expected 0600: others than its owner may use the "
            f"key. Run: chmod 600 {path}"
        )
    found = path.read_bytes()
    if len(found) == KEY_BYTES:
        return found
    digits = found.strip()
    if len(digits) != 2 * KEY_BYTES or not _HEX_DIGITS.issuperset(digits):
        raise ConfigurationError(
            f"{path.name} does not hold a key of {2 * KEY_BYTES} hex digits; put the right file back from the backup"
        )
    return bytes.fromhex(digits.decode())


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
