"""A backup gets back what it lacks, or nothing is changed; a log that cannot go on is followed by another."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select

from services.audit_log.adapters.anchors.folder import FolderAnchor
from services.audit_log.adapters.entries import SqlEntryLog, read_frontier, tile_reader
from services.audit_log.adapters.restoring import Evidence, restore
from services.audit_log.adapters.succession import NOT_A_BUS, Places, Words, begin_new, close_old, plan_succession
from services.audit_log.adapters.tables import APPEND_ONLY, METADATA
from services.audit_log.main import key_ring, signer_memory
from services.shared.errors import ConfigurationError, IncompatibleStoreError
from services.shared.events import OUTCOMES, decode
from services.shared.events.log import (
    LogRestored,
    LogSucceeded,
)
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.tlog.entry import parse_entry
from services.shared.tlog.tiles import node_reader
from services.verifier.folder import read_regular
from tests.contract.log_contract import OnAStore, Program, arrival, unguarded
from tests.contract.signing_contract import DAY, ORIGIN, WHY, die, grow, newest, opened
from tests.contract.unguarded import unguarded_store
from tests.unit.audit_log.events import generated, register_events, used


class RestoringContract(OnAStore):
    """Inherited by a test class per store."""

    # Restoring

    @pytest.mark.parametrize("kind", ["export", "bus"])
    def test_a_backup_gets_back_what_it_lacks(self, program: Program, tmp_path: Path, kind: str) -> None:
        disaster = lose(program, tmp_path, kind)
        with pytest.raises(IncompatibleStoreError, match=r"was cut off.*valvomo audit restore.*valvomo audit succeed"):
            program._build()
        positions = disaster.store.positions(program.bus.cluster_id, "audit-log")
        restored = disaster.restore()
        assert restored is not None
        assert (restored.first, restored.last, restored.filled_from) == (disaster.kept, len(disaster.entries) - 1, kind)
        assert disaster.store.positions(program.bus.cluster_id, "audit-log") == positions
        disaster.store.close()
        program.service = program._build()
        assert program.entries() == disaster.entries
        assert newest(program) == disaster.note
        program.settle()
        *_, told = program.outcomes()
        assert isinstance(told, LogRestored)
        assert told.data == restored
        assert program.size() == len(disaster.entries) + 1, "the bus, read again, has nothing new"
        assert program.states() == disaster.states
        grow(program, 2000)
        program.sign()
        assert program.verify(program.export(tmp_path / "after"), kept=disaster.note).exit == 0

    def test_the_folder_of_an_anchor_whose_last_push_was_broken_off_is_enough(
        self, program: Program, tmp_path: Path
    ) -> None:
        disaster = lose(program, tmp_path, "bus")
        partial = disaster.folder / "tile/0/001.p/44"
        (disaster.folder / "tile/0/001").write_bytes(partial.read_bytes() + bytes(32 * 212))
        shutil.rmtree(partial.parent)
        restored = disaster.restore()
        assert (restored.first, restored.last) == (260, 299)

    def test_a_log_that_lacks_nothing_is_left_alone(self, program: Program, tmp_path: Path) -> None:
        grow(program, 3)
        program.sign()
        folder = program.export(tmp_path / "export")
        program.settle()
        before = program.size()
        assert restoring(program.service.store, program, folder) is None
        program.settle()
        assert program.size() == before

    @pytest.mark.parametrize(
        ("damage", "why"),
        [
            pytest.param(lambda folder: flip(folder / "tile/0/001.p/44"), "no record of the bus", id="another hash"),
            pytest.param(lambda folder: (folder / "tile/0/001.p/44").unlink(), "missing or cut", id="no tile"),
            pytest.param(lambda folder: (folder / "checkpoint").unlink(), "no file `checkpoint`", id="no checkpoint"),
            pytest.param(lambda folder: flip(folder / "checkpoint"), "not one of this log", id="a damaged checkpoint"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_restored_changes_nothing(
        self,
        program: Program,
        tmp_path: Path,
        damage: Callable[[Path], None],
        why: str,
    ) -> None:
        disaster = lose(program, tmp_path, "bus")
        damage(disaster.folder)
        with pytest.raises((IncompatibleStoreError, ConfigurationError), match=why):
            disaster.restore()
        disaster.stays_lost(program)

    def test_entries_of_an_export_that_were_altered_are_not_taken(self, program: Program, tmp_path: Path) -> None:
        disaster = lose(program, tmp_path, "export")
        bundle = disaster.folder / "tile/entries/001.p/44"
        bundle.write_bytes(bundle.read_bytes().replace(b'"readings":280', b'"readings":289'))
        with pytest.raises(IncompatibleStoreError, match="is not the one that was signed"):
            disaster.restore()
        disaster.stays_lost(program)

    def test_a_folder_that_is_older_than_what_was_signed_is_refused(self, program: Program, tmp_path: Path) -> None:
        grow(program, 5)
        program.sign()
        older = program.export(tmp_path / "older")
        disaster = lose(program, tmp_path, "export")
        disaster.folder = older
        with pytest.raises(ConfigurationError, match="entries 5 to 299 are not in it"):
            disaster.restore()
        disaster.stays_lost(program)

    def test_a_log_that_grew_on_is_not_mixed_with_what_was_signed(self, program: Program, tmp_path: Path) -> None:
        disaster = lose(program, tmp_path, "export")
        with disaster.store.transaction() as tx:
            SqlEntryLog().append(tx, [arrival("elsewhere", 0)])
        with pytest.raises(IncompatibleStoreError, match="grew on"):
            disaster.restore()
        disaster.kept += 1
        disaster.stays_lost(program)

    def test_a_log_that_grew_beyond_what_was_signed_is_not_taken_for_it(self, program: Program, tmp_path: Path) -> None:
        """Also where the signer's memory was put back with the database: the folder knows better."""
        disaster = lose(program, tmp_path, "export")
        (program.settings.data_dir / "keys/log-signed.json").unlink()
        with disaster.store.transaction() as tx:
            SqlEntryLog().append(tx, [arrival("elsewhere", offset) for offset in range(45)])
        with pytest.raises(IncompatibleStoreError, match="the first 300 entries of the log are not those"):
            disaster.restore()

    def test_nothing_is_decided_twice_after_a_restore(self, program: Program, tmp_path: Path) -> None:
        """What was decided after the last checkpoint is on the bus only, and is taken over from there."""
        program.publish(*register_events(), generated(), used())
        disaster = lose(program, tmp_path, "bus", later=2 * DAY)
        told = program.outcomes()
        assert [type(event).__name__ for event in told] == ["FindingOpened", "FindingOpened"]
        disaster.restore()
        disaster.store.close()
        program.clock.advance(DAY)
        program.service = program._build()
        program.service.tick()
        program.settle()
        assert [event for event in program.outcomes() if not isinstance(event, LogRestored)] == told

    # Succession

    def test_a_new_log_says_what_it_follows_and_reads_the_bus_anew(self, program: Program, tmp_path: Path) -> None:
        program.publish(*register_events(), generated())
        grow(program, 300)
        old_note, old_entries, old_states = program.sign(), program.entries(), program.states()
        (program.settings.data_dir / "keys/log-ed25519").unlink()
        with pytest.raises(ConfigurationError, match="valvomo audit succeed"):
            program.restart()
        program.settings = program.settings.model_copy(update={"log_origin": "log.example/second"})
        succeeding(program)
        program.service = program._build()
        program.settle()
        note = program.sign()
        entries = program.entries()
        first = parse_entry(entries[0])
        event = decode(first.value)
        assert isinstance(event, LogSucceeded)
        assert first.position[:4] == (f"{NOT_A_BUS}log.example/second", OUTCOMES.name, 0, 0)
        assert event.data.previous_origin == ORIGIN
        assert (event.data.checkpoint or "").encode() == old_note
        assert event.data.lost == f"nothing: the {len(old_entries)} entries of the old log are kept"
        assert sorted(entries[1:]) == sorted(old_entries)
        assert program.states() == old_states
        assert opened(program, note).origin == "log.example/second"
        assert program.verify(program.export(tmp_path / "export")).exit == 0
        assert not [path.name for path in (program.settings.data_dir / "keys").glob("log-succession*")]

    def test_a_log_whose_tail_is_gone_says_which_entries_are_lost(self, program: Program, tmp_path: Path) -> None:
        disaster = lose(program, tmp_path, "bus")
        disaster.store.close()
        program.settings = program.settings.model_copy(update={"log_origin": "log.example/second"})
        succeeding(program)
        program.service = program._build()
        event = decode(parse_entry(program.entries()[0]).value)
        assert isinstance(event, LogSucceeded)
        assert event.data.lost == "entries 260 to 299 of the old log; the others are kept"
        assert (event.data.checkpoint or "").encode() == disaster.note

    @pytest.mark.parametrize("at", ["put_aside", "append"])
    def test_a_succession_that_was_broken_off_goes_on(
        self, program: Program, monkeypatch: pytest.MonkeyPatch, at: str
    ) -> None:
        grow(program, 3)
        program.sign()
        program.close()
        program.settings = program.settings.model_copy(update={"log_origin": "log.example/second"})
        owner = {"put_aside": "signing_keys.KeyRing", "append": "entries.SqlEntryLog"}[at]
        with monkeypatch.context() as broken:
            broken.setattr(f"services.audit_log.adapters.{owner}.{at}", die)
            with pytest.raises(KeyboardInterrupt):
                succeeding(program)
        with pytest.raises(ConfigurationError, match="give the same command"):
            program._build()
        program.clock.advance(timedelta(hours=1))
        succeeding(program)
        program.service = program._build()
        program.settle()
        kinds = [type(decode(parse_entry(raw).value)) for raw in program.entries()]
        assert (kinds[0], len(kinds)) == (LogSucceeded, 4)
        assert LogSucceeded not in kinds[1:]

    def test_what_needs_no_successor_gets_none(self, program: Program) -> None:
        places = places_of(program)
        with pytest.raises(ConfigurationError, match="nothing was signed"):
            plan_succession(program.service.store, places, WORDS, program.clock.now())
        grow(program, 1)
        program.sign()
        same = WORDS._replace(origin=ORIGIN)
        with pytest.raises(ConfigurationError, match="names one log for good"):
            plan_succession(program.service.store, places, same, program.clock.now())


WORDS = Words("log.example/second", "a drill", "cio", "ciso")


class Disaster:
    """A log of 300 entries (or more), signed, whose database was put back from a copy of 260; and what was kept."""

    def __init__(self, program: Program, folder: Path, kept: int) -> None:
        self.program, self.folder, self.kept = program, folder, kept
        self.entries, self.note, self.states = program.entries(), newest(program), program.states()
        self.store = program.service.store

    def restore(self) -> Any:  # noqa: ANN401  # what `restore` gives
        return restoring(self.store, self.program, self.folder)

    def stays_lost(self, program: Program) -> None:
        """Nothing was changed: the program does not start on it."""
        with self.store.reading() as connection:
            assert connection.execute(select(func.count()).select_from(METADATA.tables["entry"])).scalar() == self.kept
        with pytest.raises(IncompatibleStoreError, match="was cut off"):
            program._build()


def lose(program: Program, tmp_path: Path, kind: str, later: timedelta = timedelta(0)) -> Disaster:
    """Grow to 260, copy, grow to 300, sign, export, go on for `later` without a signature, put the copy back."""
    grow(program, 260)
    program.sign()
    copy, kept = rows(program.service.store), program.size()
    grow(program, 300)
    program.sign()
    folder = program.export(tmp_path / "folder") if kind == "export" else anchored(program, tmp_path / "folder")
    program.clock.advance(later)
    program.settle()
    disaster = Disaster(program, folder, kept)
    put_back(program, copy)
    program.service.consumer.close()
    return disaster


def anchored(program: Program, folder: Path) -> Path:
    """What the folder of an anchor holds: hashes, no entries."""
    folder.mkdir()
    note = newest(program)
    with program.service.store.reading() as connection:
        tiles = tile_reader(connection, read_frontier(connection))
        FolderAnchor(folder).push(note, opened(program, note), node_reader(tiles), tiles)
    return folder


def rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    with store.reading() as connection:
        return {
            table.name: [
                dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in METADATA.sorted_tables
        }


def put_back(program: Program, copy: dict[str, list[dict[str, Any]]]) -> None:
    """What restoring a backup does to a database."""
    for table in APPEND_ONLY:
        unguarded(program, table.name, f"DELETE FROM {table.name}")  # noqa: S608  # our own names
    store = program.service.store
    with unguarded_store(store), store.transaction() as tx:
        for table in METADATA.sorted_tables:
            if table not in APPEND_ONLY:
                tx.connection.execute(delete(table))
            if copy[table.name]:
                tx.connection.execute(insert(table), copy[table.name])


def restoring(store: Store, program: Program, folder: Path) -> Any:  # noqa: ANN401  # what `restore` gives
    notes = [path.read_bytes() for path in sorted((folder / "checkpoints").glob("*"))]
    latest = read_regular(folder / "checkpoint")
    evidence = Evidence(
        lambda path: read_regular(folder / path),
        [*notes, *([latest] if latest else [])],
        signer_memory(program.settings),
        key_ring(program.settings),
        program.bus,
    )
    return restore(store, evidence, program.clock.now(), progress=lambda _done, _total: None, **WHY)


def succeeding(program: Program) -> None:
    program.service.store.close()
    for step_of in range(2):
        store = open_store(program.settings, "log", METADATA)
        try:
            plan = plan_succession(store, places_of(program), WORDS, program.clock.now())
            if step_of == 0:
                close_old(store, plan)
            else:
                begin_new(store, places_of(program), plan, WORDS.origin)
        finally:
            store.close()


def places_of(program: Program) -> Places:
    folder = program.settings.data_dir / "checkpoints"
    return Places(key_ring(program.settings), signer_memory(program.settings), folder)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))
