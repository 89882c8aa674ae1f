"""Who a witness is: a folder with its key (32 secret bytes in hex, for its owner only) and its database."""

import os
import secrets
import stat
from pathlib import Path

from services.shared.tlog.cosignature import Cosigner, CosignerKey
from services.shared.tlog.note import KEY_BYTES, NoteError
from services.witness.errors import WitnessError
from services.witness.memory import Memory

KEY_FILE = "witness-ed25519"
DATABASE = "witness.db"


def create(folder: Path, name: str) -> CosignerKey:
    """Make a new witness.

    Raises:
        WitnessError: there is one in the folder, or what is left of one; or the name cannot be a witness's.
    """
    seed = secrets.token_bytes(KEY_BYTES)
    try:
        key = Cosigner(name, seed).key
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_remains(folder)
        _write_key(folder / KEY_FILE, seed)
        Memory.create(folder / DATABASE, str(key))
    except NoteError as error:
        raise WitnessError(f"the name cannot be used: {error}") from None
    except OSError as error:
        raise WitnessError(f"{folder} cannot be written ({error.strerror}); choose another folder") from None
    return key


def load(folder: Path) -> tuple[Cosigner, Memory]:
    """The witness in a folder.

    Raises:
        WitnessError: it is not there or not whole. Nothing is made: a witness that forgot what it saw would cosign
            a log that was rewritten.
    """
    memory = Memory(folder / DATABASE)
    name = memory.key().partition("+")[0]
    cosigner = Cosigner(name, _read_key(folder / KEY_FILE))
    if str(cosigner.key) != memory.key():
        raise WitnessError(
            f"{KEY_FILE} is not the key that {DATABASE} belongs to; put back the one that was made together with it"
        )
    return cosigner, memory


def _refuse_remains(folder: Path) -> None:
    for file in (KEY_FILE, DATABASE):
        if (folder / file).exists():
            raise WitnessError(
                f"{folder} holds {file} already; a witness is made once. Start it, or choose an empty folder"
            )


def _write_key(path: Path, seed: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(seed.hex().encode())
        file.flush()
        os.fsync(file.fileno())


def _read_key(path: Path) -> bytes:
    try:
        rights, text = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise WitnessError(f"{path} cannot be read ({error.strerror}); put the witness's own key back") from None
    if rights & (stat.S_IRWXG | stat.S_IRWXO):
        raise WitnessError(
            f"found rights {stat.S_IMODE(rights):04o} on {path.name}, expected 0600: others may use the key. Run: "
            f"chmod 600 {path}"
        )
    try:
        seed = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        seed = b""
    if len(seed) != KEY_BYTES:
        raise WitnessError(f"{path.name} does not hold {2 * KEY_BYTES} hex digits; put the witness's own key back")
    return seed
