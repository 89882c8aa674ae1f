"""When the log signs, with which keys, and what becomes of it when a key, a clock, a disk or the database fails."""

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, func, insert, select

from services.audit_log.adapters import checkpoints
from services.audit_log.adapters.checkpoints import Checkpointer
from services.audit_log.adapters.entries import SqlEntryLog, read_frontier
from services.audit_log.adapters.memory import SignerMemory
from services.audit_log.adapters.restoring import Evidence, restore
from services.audit_log.adapters.rotation import retire, rotate
from services.audit_log.adapters.succession import NOT_A_BUS, Places, Words, begin_new, close_old, plan_succession
from services.audit_log.adapters.tables import APPEND_ONLY, METADATA, checkpoint
from services.audit_log.domain.telling import about_log
from services.audit_log.main import key_ring, signer, signer_memory
from services.shared.errors import ConfigurationError, IncompatibleStoreError, TransientError
from services.shared.events import OUTCOMES, decode
from services.shared.events.log import (
    KeyChange,
    LogHeartbeat,
    LogKeyChanged,
    LogRead,
    LogRestored,
    LogSucceeded,
    Lookup,
)
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.tlog.checkpoint import open_checkpoint
from services.shared.tlog.entry import parse_entry
from services.shared.tlog.merkle import leaf_hash, root_of
from services.shared.tlog.note import ML_DSA_44, UnknownSignerError, VerifierKey, parse_note
from services.verifier.folder import read_regular
from tests.contract.appending_process import BATCH, append
from tests.contract.log_contract import Program, arrival, unguarded
from tests.contract.unguarded import unguarded_store
from tests.servers.process import dies_with_us
from tests.unit.audit_log.events import MONDAY, generated, register_events, used, window

ORIGIN = "log.example/audit"
WHY = {"reason": "a drill", "approver": "ciso"}
DAY = timedelta(days=1)


class SigningContract(ABC):
    """Inherited by a test class per store."""

    @abstractmethod
    def store_address(self, request: pytest.FixtureRequest) -> str:
        """What VALVOMO_STORE says."""

    @pytest.fixture
    def program(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
        address = SecretStr(self.store_address(request))
        made = Program(Settings(data_dir=tmp_path / "var", store=address, log_origin=ORIGIN))
        yield made
        made.close()

    # What is signed

    def test_what_the_log_says_of_itself_waits_for_the_next_event(self, program: Program) -> None:
        grow(program, 1)
        first = program.sign()
        program.publish(*(looked(number) for number in range(3)))
        program.settle()
        assert (program.size(), program.sign()) == (4, None)
        program.publish(window(1))
        program.settle()
        note = program.sign()
        assert (sizes(program), opened(program, note).size) == ([1, 5], 5)
        assert first != note

    def test_thirty_silent_days_make_thirty_checkpoints(self, program: Program) -> None:
        grow(program, 1)
        step(program)
        for _ in range(30 * 2):
            program.clock.advance(timedelta(hours=12))
            step(program)
            program.settle()
            step(program)
        found = sizes(program)
        assert (found[0], found[-1]) == (1, program.size())
        assert 29 <= len(found) <= 31
        beats = [event for event in program.outcomes() if isinstance(event, LogHeartbeat)]
        assert len(beats) == len(found) - 1 + (program.size() - found[-1])
        assert [beat.data.size for beat in beats] == found[: len(beats)]

    def test_a_heartbeat_is_told_once_whoever_tells_it(self, program: Program) -> None:
        grow(program, 1)
        step(program)
        program.clock.advance(DAY + timedelta(hours=1))
        for _ in range(3):
            step(program)
            program.service.relay.step()
            program.clock.advance(timedelta(minutes=1))
            program.restart()
        program.settle()
        assert program.size() == 2
        step(program)
        assert sizes(program) == [1, 2]

    def test_nothing_is_signed_while_the_clock_is_behind_the_newest_checkpoint(self, program: Program) -> None:
        grow(program, 1)
        program.sign()
        program.clock.advance(-timedelta(hours=2))
        program.publish(window(1))
        program.settle()
        with pytest.raises(TransientError, match="nothing is signed until it has caught up"):
            step(program)
        assert sizes(program) == [1]
        program.clock.advance(timedelta(hours=2))
        step(program)
        assert sizes(program) == [1, 2]

    def test_two_processes_that_append_at_once_interleave_without_gaps(self, program: Program) -> None:
        batches = 15
        address = program.settings.store.get_secret_value()
        command = [sys.executable, "-m", "tests.contract.appending_process", str(program.settings.data_dir), "theirs"]
        with subprocess.Popen(
            dies_with_us([*command, str(batches)]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "VALVOMO_STORE": address},
        ) as other:  # fmt: skip
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == "ready\n"
            print("go", file=other.stdin, flush=True)
            append(program.service.store, "ours", batches)
        assert other.returncode == 0
        entries = program.entries()
        with program.service.store.reading() as connection:
            assert read_frontier(connection).root() == root_of(map(leaf_hash, entries))
        found = [parse_entry(raw).position for raw in entries]
        assert sorted((place.topic, place.offset) for place in found) == [
            (topic, offset) for topic in ("ours", "theirs") for offset in range(batches * BATCH)
        ]
        assert opened(program, program.sign()).size == len(entries)

    # Signing that is broken off

    @pytest.mark.parametrize("failing", ["insert", "_write_files"], ids=["row", "files"])
    def test_a_signature_that_was_broken_off_is_made_up_for(
        self, program: Program, monkeypatch: pytest.MonkeyPatch, failing: str
    ) -> None:
        grow(program, 2)
        program.sign()
        program.publish(window(2))
        program.settle()
        with monkeypatch.context() as broken:
            owner: object = checkpoints if failing == "insert" else Checkpointer
            broken.setattr(owner, failing, die)
            with pytest.raises(KeyboardInterrupt):
                program.sign()
        remembered = signer_memory(program.settings).load()
        assert remembered is not None
        assert (remembered.size, sizes(program)) == (3, [2] if failing == "insert" else [2, 3])
        program.restart()
        program.sign()
        assert sizes(program) == [2, 3]
        folder = program.settings.data_dir / "checkpoints"
        assert (folder / "latest").read_bytes() == (folder / f"{3:012d}").read_bytes() == newest(program)
        assert program.sign() is None

    def test_nothing_is_signed_that_the_signer_cannot_remember(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        grow(program, 2)
        with monkeypatch.context() as broken:
            broken.setattr(SignerMemory, "save", full)
            with pytest.raises(TransientError):
                program.sign()
        assert sizes(program) == []
        assert not (program.settings.data_dir / "checkpoints/latest").exists()
        program.sign()
        assert sizes(program) == [2]

    # Keys

    def test_keys_change_with_an_overlap_that_everybody_can_follow(self, program: Program) -> None:
        grow(program, 1)
        program.sign()
        store, ring = program.service.store, key_ring(program.settings)
        old = signer(program.settings).key
        new = rotate(store, ring, program.clock.now(), **WHY)
        assert program.sign() is None, "one size, one checkpoint"
        with pytest.raises(ConfigurationError, match="not signed by both"):
            retired(program, old)
        program.settle()
        both = program.sign()
        assert opened(program, both, old) == opened(program, both, new) == opened(program, both)
        retired(program, old)
        grow(program, 10)
        after = program.sign()
        assert opened(program, after, new).size == program.size()
        with pytest.raises(UnknownSignerError):
            opened(program, after, old)
        program.restart()
        assert signer(program.settings).keys == (new,)
        changes = [event.data for event in program.outcomes() if isinstance(event, LogKeyChanged)]
        assert changes == [
            KeyChange(key=str(new), change="added", **WHY),
            KeyChange(key=str(old), change="retired", **WHY),
        ]

    def test_the_new_key_can_be_taken_back(self, program: Program) -> None:
        grow(program, 1)
        program.sign()
        old = signer(program.settings).key
        new = rotate(program.service.store, key_ring(program.settings), program.clock.now(), **WHY)
        program.settle()
        program.sign()
        retired(program, new)
        assert signer(program.settings).keys == (old,)
        program.restart()

    def test_a_change_that_was_broken_off_goes_on(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        grow(program, 1)
        program.sign()
        store, ring, old = program.service.store, key_ring(program.settings), signer(program.settings).key
        for name, change in (("activate", lambda: rotate(store, ring, program.clock.now(), **WHY)),
                             ("retire", lambda: retired(program, old))):  # fmt: skip
            with monkeypatch.context() as broken:
                broken.setattr(type(ring), name, die)
                with pytest.raises(KeyboardInterrupt):
                    change()
            program.settle()
            program.clock.advance(timedelta(minutes=1))
            change()
            program.settle()
            program.sign()
        changes = [event.data.change for event in program.outcomes() if isinstance(event, LogKeyChanged)]
        assert changes == ["added", "retired"]
        assert old not in signer(program.settings).keys

    @pytest.mark.parametrize(
        ("key_id", "why"), [("00000000", "among those that sign"), (None, "the only key that signs")]
    )
    def test_what_is_not_retired(self, program: Program, key_id: str | None, why: str) -> None:
        grow(program, 1)
        program.sign()
        key_id = key_id or signer(program.settings).key.key_id.hex()
        store, ring = program.service.store, key_ring(program.settings)
        with pytest.raises(ConfigurationError, match=why):
            retire(store, ring, program.clock.now(), key_id, destroy=True, **WHY)

    def test_a_third_key_waits_until_the_first_is_retired(self, program: Program) -> None:
        grow(program, 1)
        for expected in (2, None):
            if expected is None:
                with pytest.raises(ConfigurationError, match="two keys sign this log already"):
                    rotate(program.service.store, key_ring(program.settings), program.clock.now(), **WHY)
            else:
                rotate(program.service.store, key_ring(program.settings), program.clock.now(), **WHY)

    def test_a_post_quantum_key_signs_beside_the_first(self, program: Program) -> None:
        grow(program, 1)
        plain = program.sign()
        program.settings = program.settings.model_copy(update={"log_post_quantum": True})
        program.restart()
        program.settle()
        note = program.sign()
        first, quantum = signer(program.settings).keys
        assert quantum.kind == ML_DSA_44
        assert len(parse_note(note or b"").signatures) == 2
        assert opened(program, note, quantum) == opened(program, note, first)
        assert len(parse_note(plain or b"").signatures) == 1
        (told,) = (event.data for event in program.outcomes() if isinstance(event, LogKeyChanged))
        assert (told.key, told.change) == (str(quantum), "added")
        (program.settings.data_dir / "keys/log-mldsa44").unlink()
        with pytest.raises(ConfigurationError, match="found no key in log-mldsa44"):
            program.restart()
        program.settings = program.settings.model_copy(update={"log_post_quantum": False})
        program.service = program._build()

    def test_a_log_begun_with_a_post_quantum_key_has_both_lines_at_once(self, program: Program) -> None:
        program.settings = program.settings.model_copy(update={"log_post_quantum": True})
        program.restart()
        grow(program, 1)
        note = program.sign() or b""
        assert [open_checkpoint(note, key).size for key in signer(program.settings).keys] == [program.size()] * 2

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
    folder = program.export(tmp_path / "folder")
    program.clock.advance(later)
    program.settle()
    if kind == "bus":
        shutil.rmtree(folder / "tile/entries")
    disaster = Disaster(program, folder, kept)
    put_back(program, copy)
    program.service.consumer.close()
    return disaster


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


def grow(program: Program, size: int) -> None:
    """Let the log have at least so many entries."""
    start = program.size()
    program.publish(*(window(number) for number in range(start, size)))
    program.settle()


def step(program: Program) -> None:
    program.service.checkpointer.step()


def looked(number: int) -> LogRead:
    data = Lookup(reader="auditor", what="entries", entries=number, read_at=MONDAY)
    return about_log(LogRead, data, MONDAY, number)


def sizes(program: Program) -> list[int]:
    with program.service.store.reading() as connection:
        return list(connection.execute(select(checkpoint.c.size).order_by(checkpoint.c.size)).scalars())


def newest(program: Program) -> bytes:
    with program.service.store.reading() as connection:
        query = select(checkpoint.c.note).order_by(checkpoint.c.size.desc()).limit(1)
        return bytes(connection.execute(query).scalar_one())


def opened(program: Program, note: bytes | None, key: VerifierKey | None = None) -> Any:  # noqa: ANN401  # a checkpoint
    return open_checkpoint(note or b"", key or signer(program.settings).keys)


def retired(program: Program, key: VerifierKey) -> None:
    store, ring = program.service.store, key_ring(program.settings)
    retire(store, ring, program.clock.now(), key.key_id.hex(), destroy=False, **WHY)


def die(*_arguments: object, **_named: object) -> None:
    """What SIGKILL leaves behind is what has happened before."""
    raise KeyboardInterrupt


def full(*_arguments: object) -> None:
    raise TransientError("log-signed.json cannot be written (No space left on device)")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))
