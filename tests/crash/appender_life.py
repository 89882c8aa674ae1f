"""Many short lives of a log, each killed: `python -m tests.crash.appender_life FOLDER KILLS`.

One process imports everything once and has children by fork, so that a kill costs little. Each child opens the log in
FOLDER anew, as a start of the program does, appends from the bus there and signs after every batch, until it is killed:
inside a transaction, between the steps of a signature, or anywhere. After each kill the parent looks at what is left
on the disk. Prints JSON: how many kills of each kind, and what the children had signed at each of them.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from services.audit_log import main as main_of_log
from services.audit_log.adapters import checkpoints
from services.audit_log.adapters.checkpoints import LATEST, Checkpointer
from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.memory import SignerMemory
from services.audit_log.main import AuditService, build
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.logs import configure_logs
from services.shared.settings import Settings

PARTITIONS = 2
BATCH_RECORDS = 5
HOLDS = ("transaction", "remembered", "row", "file")
"""Where a child waits to be killed: inside the transaction that appends; after the signer has remembered; after the
checkpoint's row; between its two files."""


def open_log(folder: Path) -> tuple[SqliteBus, AuditService]:
    settings = Settings(data_dir=folder, log_origin="log.example/audit", batch_records=BATCH_RECORDS)
    bus = SqliteBus(folder / BUS_FILE, SystemClock(), PARTITIONS)
    return bus, build(settings, bus, SystemClock(), CollectorRegistry())


def live(folder: Path, tell: Callable[[], None] = lambda: None) -> None:
    """Append and sign until the bus holds nothing more."""
    bus, service = open_log(folder)
    service.consumer._poll_seconds = 0.0
    while not service.consumer.status().caught_up:
        service.consumer.step()
        service.checkpointer.step()
        tell()
    service.consumer.close()
    service.store.close()
    bus.close()


class Child:
    """A forked life, as its parent sees it."""

    def __init__(self, folder: Path, hold: str | None, at: int) -> None:
        self._reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _be_born(folder, writing, hold, at)
        os.close(writing)

    def told(self, wanted: bytes, times: int) -> bool:
        """Wait until it has told this so often; False when it ended before."""
        while times:
            byte = os.read(self._reading, 1)
            if not byte:
                return False
            times -= byte == wanted
        return True

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._reading)


def _be_born(folder: Path, pipe: int, hold: str | None, at: int) -> None:
    """Never returns."""
    try:
        if hold:
            _hold(hold, at, pipe)

        def tell() -> None:
            os.write(pipe, b".")

        live(folder, tell)
        os._exit(0)
    except BaseException as error:  # noqa: BLE001  # the parent's stack is below us: nothing of it may run here
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)


def _hold(hold: str, at: int, pipe: int) -> None:
    """Wait for good at the `at`-th time that this point is passed."""
    passed = 0

    def pause() -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            os.write(pipe, b"h")
            time.sleep(3600)

    def around(owner: Any, name: str, *, before: bool, only: Callable[..., bool] = lambda *_: True) -> None:  # noqa: ANN401  # a class, a module
        inner = getattr(owner, name)

        def outer(*arguments: Any) -> Any:  # noqa: ANN401  # whatever it takes and gives
            if before and only(*arguments):
                pause()
            found = inner(*arguments)
            if not before:
                pause()
            return found

        setattr(owner, name, outer)

    match hold:
        case "transaction":
            around(SqlEntryLog, "append", before=False)
        case "remembered":
            around(SignerMemory, "save", before=False)
        case "row":
            around(Checkpointer, "_write_files", before=True)
        case _:
            around(checkpoints, "write_durably", before=True, only=lambda path, _data: path.name == LATEST)


def kill_once(folder: Path, chance: random.Random, hold: str | None) -> bool:
    """One life and its end; False when it had nothing to do."""
    at = chance.randrange(1, 4)
    child = Child(folder, hold, at)
    try:
        alive = child.told(b"h" if hold else b".", 1 if hold else at)
        if alive and not hold:
            time.sleep(chance.uniform(0, 0.02))  # the moment of a crash is nobody's choice
        return alive
    finally:
        child.kill()


def look(folder: Path, before: dict[str, Any]) -> dict[str, Any]:
    """What a kill left on the disk, which takes nothing back of what was there before."""
    with closing(sqlite3.connect(folder / "log.db")) as connection:
        size, last = connection.execute("SELECT size, (SELECT max(seq) FROM entry) FROM head").fetchone()
        acknowledged = dict(connection.execute(
            "SELECT topic || '/' || partition, next_offset FROM consumer_position"
        ).fetchall())  # fmt: skip
        kept = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
        notes = dict(connection.execute("SELECT size, note FROM checkpoint").fetchall())
    written = [path for path in (folder / "checkpoints").glob("0*") if path.suffix != ".new"]  # that one was cut off
    files = {path.name: path.read_bytes() for path in written}
    remembered = json.loads((folder / "keys/log-signed.json").read_text())["size"] if notes else 0
    assert kept == size == (last + 1 if last is not None else 0), "not dense"
    assert kept == sum(acknowledged.values()), "what was acknowledged and what was appended differ"
    assert all(acknowledged[key] >= value for key, value in before.get("acknowledged", {}).items())
    assert all(files[name] == notes[int(name)] for name in files), "a file is not its row's"
    assert len(notes) - len(files) <= 1, "more than the newest checkpoint has no file"
    assert max(notes, default=0) <= remembered <= size, "signed and not remembered, or remembered and not kept"
    assert notes.items() >= before.get("notes", {}).items(), "a checkpoint was lost, or signed twice"
    return {"acknowledged": acknowledged, "notes": notes}


def main(folder: Path, kills: int) -> None:
    chance, done, seen = random.Random(kills), Counter[str](), dict[str, Any]()
    for kill in range(kills):
        hold = "transaction" if kill % 3 == 0 else chance.choice([*HOLDS[1:], None, None])
        assert kill_once(folder, chance, hold), "nothing was left to do: the kills came too late"
        done[hold or "anywhere"] += 1
        seen = look(folder, seen)
    live(folder)
    look(folder, seen)
    print(json.dumps({"kills": done, "checkpoints": len(seen["notes"])}))  # noqa: T201  # the test reads it


if __name__ == "__main__":
    configure_logs("json", "error")
    main_of_log.make_router = lambda *_unused, **_named: APIRouter()  # type: ignore[attr-defined]  # half of a start, unasked
    main(Path(sys.argv[1]), int(sys.argv[2]))
