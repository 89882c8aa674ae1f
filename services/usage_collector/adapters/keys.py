"""Key files in `<data_dir>/keys`: made on the first start, readable by their owner only, never printed."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from services.shared.errors import ConfigurationError

KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_key(data_dir: Path, name: str) -> bytes:
    """The 32 bytes of `<data_dir>/keys/<name>.key`, made from the system's randomness when there is no such file.

    Raises:
        ConfigurationError: others than its owner may read the file, or it does not hold a key.
    """
    folder = data_dir / "keys"
    path = folder / f"{name}.key"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise ConfigurationError(
            f"the key file {path} cannot be used: {error.strerror}; look at its folder's rights"
        ) from None


def _make(path: Path) -> None:
    """Write beside and link into place: of two that start at once, one key wins and both read it."""
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()


def _read(path: Path) -> bytes:
    rights = path.stat().st_mode
    if rights & _OTHERS:
        raise ConfigurationError(
            f"found rights {stat.S_IMODE(rights):04o} on {path}, expected 0600: others may read a key that protects "
            f"people. Run: chmod 600 {path}"
        )
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if len(text) != 2 * KEY_BYTES or not all(character in "0123456789abcdef" for character in text):
        raise ConfigurationError(f"{path} does not hold a key of {2 * KEY_BYTES} hex digits; put the right file back")
    return bytes.fromhex(text)
