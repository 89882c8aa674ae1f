"""A database edited by hand in every way: each has its exit code and its sentence."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from services.audit_log.main import signer
from services.shared.settings import Settings
from services.verifier.command import main
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import at, window

SIZE = 701


class Log:
    """A database of 701 signed entries (one contradicts entry 0) and its state of yesterday, with 400."""

    def __init__(self, folder: Path) -> None:
        self.newest, self.yesterday, self.kept = folder / "log.db", folder / "yesterday.db", folder / "kept"
        program = Program(Settings(data_dir=folder / "var", log_origin="log.example/audit"))
        self.key = str(signer(program.settings).key)
        program.publish(*(window(number) for number in range(400)))
        program.settle()
        self.kept.write_bytes(program.sign() or b"")
        self._copy(folder, self.yesterday)
        program.publish(*(window(number) for number in range(400, 700)), window(0).model_copy(update={"time": at(5)}))
        program.settle()
        self.signed = program.sign() or b""
        with program.service.store.transaction() as tx:
            tx.connection.exec_driver_sql(
                "INSERT INTO receipt (anchor, size, kind, receipt, anchored_at) VALUES ('mail', 701, 'mail', x'00', 0)"
            )
        self._copy(folder, self.newest)
        program.close()

    def _copy(self, folder: Path, target: Path) -> None:
        with closing(sqlite3.connect(folder / "var/log.db")) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return Log(tmp_path_factory.mktemp("log"))


@pytest.fixture
def database(log: Log, tmp_path: Path) -> Path:
    return Path(shutil.copy(log.newest, tmp_path / "log.db"))


@pytest.fixture
def run(log: Log, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Verify a database as the standalone program does: (exit code, what it printed)."""

    def verified(database: Path, *arguments: str) -> tuple[int, str]:
        given = ("--database", str(database), "--key", log.key, "--max-age-days", "0")
        code = main([*given, *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    return verified


def edit(database: Path, *statements: str) -> None:
    """What the owner of a file can do to it: no trigger stops them."""
    with closing(sqlite3.connect(database)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def flip(table: str, column: str, where: str, at: int = -3, *, letter: bool = False) -> Callable[[Path], None]:
    def damage(database: Path) -> None:
        with closing(sqlite3.connect(database)) as connection:
            ((data,),) = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchall()  # noqa: S608  # ours
        changed = bytearray(data)
        changed[at] = b"AB"[changed[at] == ord("A")] if letter else changed[at] ^ 1
        edit(database, f"UPDATE {table} SET {column} = x'{changed.hex()}' WHERE {where}")  # noqa: S608  # ours

    return damage


def rebuilt(table: str, *statements: str) -> Callable[[Path], None]:
    """Edit a table that its owner has made again, without types and keys."""
    again = (f"CREATE TABLE x AS SELECT * FROM {table}", f"DROP TABLE {table}", f"ALTER TABLE x RENAME TO {table}")  # noqa: S608  # ours
    return lambda database: edit(database, *again, *statements)


def statements(*statements: str) -> Callable[[Path], None]:
    return lambda database: edit(database, *statements)


SWAP = (
    "UPDATE entry SET body = (SELECT other.body FROM entry AS other WHERE other.seq = 301) WHERE seq = 300",
    "UPDATE entry SET body = (SELECT x FROM kept) WHERE seq = 301",
)


def test_a_good_database_verifies(log: Log, run: Callable[..., tuple[int, str]]) -> None:
    code, told = run(log.newest, "--checkpoint", str(log.kept))
    assert (code, "VERIFIED: the 701 entries" in told) == (0, True)
    assert "entry 700: a sender said something else under the name of entry 0" in told
    assert "1 receipts of anchors lie in the export" in told
    assert "Entries from 400 on" in told


EDITS: Mapping[str, tuple[Callable[[Path], None], int, Sequence[str]]] = {
    "a bit of an entry": (
        flip("entry", "body", "seq = 300"),
        1,
        ["entry 300: its bytes are not those that were signed"],
    ),
    "a bit of a leaf hash": (
        flip("tile", "hashes", "level = 0 AND number = 1", 32 * 44),
        1,
        ["entry 300: the tile's hash is not that of the signed entry"],
    ),
    "a bit of an upper hash": (
        flip("head", "edge", "id = 1", -40),
        1,
        ["tile/1/000.p/2, over entries 0 to 511: its hashes are not", "hashes in the head of the log are not"],
    ),
    "a bit of the signature": (
        flip("checkpoint", "note", "size = 701", -20, letter=True),
        1,
        ["checkpoint: the note's signature does not fit"],
    ),
    "a bit of an older checkpoint": (
        flip("checkpoint", "note", "size = 400", 19),
        1,
        ["checkpoints/000000000400: the note's signature does not fit"],
    ),
    "the last rows deleted": (
        statements("DELETE FROM entry WHERE seq >= 695"),
        1,
        ["entries 695 to 700: no such row", "the head of the log says 701 entries, the rows end after 695"],
    ),
    "a row in the middle deleted": (
        statements("DELETE FROM entry WHERE seq = 300"),
        1,
        ["entry 300: no such row in the database"],
    ),
    "two rows swapped": (
        statements("CREATE TEMP TABLE kept AS SELECT body AS x FROM entry WHERE seq = 300", *SWAP),
        1,
        ["entries 300 to 301: its bytes are not those that were signed", "entries 300 to 301: the columns say another"],
    ),
    "an index changed": (
        statements("UPDATE entry SET seq = 9000 WHERE seq = 700"),
        1,
        [
            "entry 9000: a row in the database that the head of the log does not count",
            "entries 700 to 8999: no such row",
        ],
    ),
    "a column changed": (
        statements("UPDATE entry SET source_offset = 99999 WHERE seq = 5"),
        1,
        ["entry 5: the columns say another place on the bus than the entry itself"],
    ),
    "a contradiction hidden": (
        statements("DELETE FROM conflict"),
        1,
        ["entry 700: it contradicts entry 0, but the table"],
    ),
    "a contradiction invented": (
        statements("INSERT INTO conflict (seq, first_seq) VALUES (9, 8)"),
        1,
        ["entry 9: the table of contradictions says that it contradicts entry 8, which it does not"],
    ),
    "the head set back": (
        statements("UPDATE head SET size = 700"),
        1,
        ["entry 700: a row in the database that the head"],
    ),
    "a checkpoint renamed": (
        statements("UPDATE checkpoint SET size = 401 WHERE size = 400"),
        1,
        ["checkpoints/000000000401: it is filed under 401 entries, the checkpoint in it says 400"],
    ),
    "no tiles": (statements("DELETE FROM tile"), 1, ["tile/0/000 … tile/0/001 is missing"]),
    "no checkpoints": (statements("DELETE FROM checkpoint"), 2, ["nothing signed to verify"]),
    "no head": (statements("DELETE FROM head"), 2, ["the database cannot be read: found 0 rows"]),
    "a table gone": (statements("DROP TABLE conflict"), 2, ["no such table: conflict"]),
    "a table gone to hide an entry": (
        statements("DROP TABLE conflict", "UPDATE entry SET body = x'7b7d' WHERE seq = 300"),
        1,
        ["entry 300: its bytes are not those that were signed", "no such table: conflict"],
    ),
    "receipts gone to hide an entry": (
        statements("DROP TABLE receipt", "UPDATE entry SET body = x'7b7d' WHERE seq = 300"),
        1,
        ["entry 300: its bytes are not those that were signed", "no such table: receipt"],
    ),
    "hashes of odd length": (
        statements("UPDATE tile SET hashes = x'616263' WHERE level = 0 AND number = 1"),
        1,
        ["tile/0/001, over entries 256 to 511: found 3 bytes, expected 8192"],
    ),
    "a row below zero": (
        rebuilt(
            "entry",
            "INSERT INTO entry SELECT * FROM entry WHERE seq = 9",
            "UPDATE entry SET seq = -1 WHERE rowid = 702",
        ),
        1,
        ["entry -1: a row in the database that the head of the log does not count"],
    ),
    "a row twice": (
        rebuilt("entry", "INSERT INTO entry SELECT * FROM entry WHERE seq = 9"),
        1,
        ["entry 9: a row in the database that the head of the log does not count"],
    ),
    "text for bytes": (
        rebuilt("entry", "UPDATE entry SET body = 'text' WHERE seq = 300"),
        1,
        ["entry 300: its bytes are not those that were signed"],
    ),
    "nothing for hashes": (rebuilt("tile", "UPDATE tile SET hashes = NULL"), 1, ["found 0 bytes, expected 8192"]),
    "text for a number": (rebuilt("head", "UPDATE head SET size = 'q'"), 2, ["found str where the log has a whole"]),
    "no checkpoint's size": (rebuilt("checkpoint", "UPDATE checkpoint SET size = NULL"), 2, ["found NoneType where"]),
    "no checkpoint's bytes": (rebuilt("checkpoint", "UPDATE checkpoint SET note = 5"), 1, ["not a signed note"]),
    "no contradiction's index": (rebuilt("conflict", "UPDATE conflict SET seq = 'a'"), 2, ["found str where the log"]),
    "no receipt's size": (rebuilt("receipt", "UPDATE receipt SET size = 'q'"), 2, ["found str where the log"]),
}


@pytest.mark.parametrize(("damage", "code", "sentences"), EDITS.values(), ids=EDITS)
def test_every_edit_is_found_and_named(
    database: Path,
    run: Callable[..., tuple[int, str]],
    damage: Callable[[Path], None],
    code: int,
    sentences: Sequence[str],
) -> None:
    damage(database)
    found, told = run(database)
    assert found == code, told
    assert [one for one in sentences if one not in told] == [], told


def test_yesterdays_database_shows_only_to_who_remembers(
    log: Log, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert run(log.yesterday)[0] == 0
    (tmp_path / "today").write_bytes(log.signed)
    code, told = run(log.yesterday, "--checkpoint", str(tmp_path / "today"))
    assert code == 1
    assert "signed over 701 entries, the export ends after 400: the newest entries were cut off" in told
    assert "put back from an old backup" in told


def test_a_checkpoint_that_was_removed_is_a_notice(
    log: Log, database: Path, run: Callable[..., tuple[int, str]]
) -> None:
    edit(database, "DELETE FROM checkpoint WHERE size = 400")
    code, told = run(database, "--checkpoint", str(log.kept))
    assert (code, "is not in the export's own list of checkpoints" in told) == (0, True)


def test_entries_after_the_newest_checkpoint_are_told_apart(
    database: Path, run: Callable[..., tuple[int, str]]
) -> None:
    edit(database, "DELETE FROM checkpoint WHERE size = 701")
    code, told = run(database)
    assert (code, "entries 400 to 700: not under a signed checkpoint yet" in told) == (0, True)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00 and no more"])
def test_what_is_no_database_cannot_be_verified(
    tmp_path: Path, content: bytes, run: Callable[..., tuple[int, str]]
) -> None:
    (tmp_path / "log.db").write_bytes(content)
    code, told = run(tmp_path / "log.db")
    assert (code, "the database cannot be read" in told) == (2, True)


def test_names_in_a_strangers_file_move_no_cursor(database: Path, run: Callable[..., tuple[int, str]]) -> None:
    edit(
        database,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET name = char(27), sql = 'CREATE x' WHERE name = 'conflict'",
    )
    code, told = run(database)
    assert (code, "malformed" in told, "\x1b" in told) == (2, True, False)


def test_a_page_that_cannot_be_read_is_never_good(database: Path, run: Callable[..., tuple[int, str]]) -> None:
    data = bytearray(database.read_bytes())
    for page in range(20, 60):
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    database.write_bytes(bytes(data))
    assert run(database)[0] in (1, 2)


def test_json_for_programs(log: Log, run: Callable[..., tuple[int, str]]) -> None:
    code, told = run(log.newest, "--json")
    report = json.loads(told)
    assert (code, report["exit"], report["size"], report["damage"]) == (0, 0, SIZE, [])
    assert {one["kind"] for one in report["notices"]} == {"contradiction", "receipts"}


def test_nothing_is_written_beside_a_database(log: Log, tmp_path: Path, run: Callable[..., tuple[int, str]]) -> None:
    alone = Path(shutil.copy(log.newest, tmp_path / "log.db"))
    before = alone.read_bytes()
    assert run(alone)[0] == 0
    assert alone.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"log.db", "log.db-wal", "log.db-shm"}
