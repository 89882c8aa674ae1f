"""What the audit log keeps on every store: one list, appended once, signed as it is, and states that follow from it."""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import Table, delete, select, text, update

from services.audit_log.adapters.entries import SqlEntryLog, read_entries, read_frontier
from services.audit_log.adapters.export import write_export
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import (
    APPEND_ONLY,
    METADATA,
    case_file,
    conflict,
    decision,
    finding,
    head,
    pruning,
    receipt,
)
from services.audit_log.handlers import rebuild
from services.audit_log.main import AuditService, build, signer
from services.audit_log.ports import Arrival
from services.shared.access import Access
from services.shared.bus import Message, Record, TopicPartition
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.consumer import Delivered
from services.shared.errors import ConfigurationError, IncompatibleStoreError, StalePositionError
from services.shared.events import GOVERNANCE, OUTCOMES, REGISTER, TOPICS, Event, decode, encode, key_of, topic_of
from services.shared.events.register import UseCaseRegistered
from services.shared.http import make_app
from services.shared.settings import Settings
from services.shared.store.faults import RefusedStatementError
from services.shared.tlog.entry import Position, parse_entry
from services.shared.tlog.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from services.shared.tlog.note import decode_base64
from services.shared.tlog.tiles import Frontier
from services.verifier.folder import FileReader, read_notes
from services.verifier.verify import DAMAGED, VERIFIED, Report, verify
from tests.contract.migrations_match import assert_migrations_match
from tests.contract.unguarded import unguarded_store
from tests.unit.audit_log.events import MONDAY, at, generated, register_events, reviewed, used, window, without_fact


class Program:
    """The log as a process has it, worked by hand: nothing runs unless a test asks for it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SteppedClock(MONDAY)
        self.bus = MemoryBus(self.clock, partitions=3)
        self.bus.ensure_topics(TOPICS)
        self.service = self._build()

    def _build(self) -> AuditService:
        self.registry = CollectorRegistry()
        return build(self.settings, self.bus, self.clock, self.registry)

    def restart(self) -> None:
        self.close()
        self.service = self._build()

    def close(self) -> None:
        self.service.consumer.close()
        self.service.store.close()

    def publish(self, *events: Event) -> None:
        self.bus.publish([Message(topic_of(event), key_of(event), encode(event)) for event in events])

    def settle(self) -> None:
        """Work until nothing is left: all read, judged, decided, published and read back."""
        service = self.service
        while True:
            while not service.consumer.status().caught_up:
                service.consumer.step()
            while service.tick() == 0.0:
                pass
            if service.relay.step() != 0.0 and service.consumer.status().caught_up:
                return

    def sign(self) -> bytes | None:
        return self.service.checkpointer.sign()

    def size(self) -> int:
        with self.service.store.reading() as connection:
            return read_frontier(connection).size

    def entries(self) -> list[bytes]:
        with self.service.store.reading() as connection:
            return read_entries(connection, 0, read_frontier(connection).size)

    def states(self) -> dict[str, str]:
        with self.service.store.reading() as connection:
            found = connection.execute(select(case_file.c.output_id, case_file.c.state))
            return {row.output_id: row.state for row in found}

    def outcomes(self) -> list[Any]:
        return [decode(record.value) for record in self.records(OUTCOMES.name)]

    def records(self, *topics: str) -> list[Record]:
        return [record for key in self.bus.end_positions(topics) for record in self.bus.read(key, 0, 10_000)]

    def export(self, folder: Path) -> Path:
        with self.service.store.reading() as connection:
            write_export(connection, folder, lambda _done, _total: None)
        return folder

    def verify(self, folder: Path, **kept: bytes) -> Report:
        notes = [*read_notes(folder), *kept.items()]
        return verify(FileReader(folder), notes, signer(self.settings).key, now=self.clock.now())


class OnAStore(ABC):
    """What is held on every store: inherited by a contract, and by a test class per store."""

    @abstractmethod
    def store_address(self, request: pytest.FixtureRequest) -> str:
        """What VALVOMO_STORE says."""

    def begin(self, program: Program) -> None:  # noqa: B027  # most begin with an empty log
        """What the log holds before each test; nothing, unless a contract says otherwise."""

    @pytest.fixture
    def program(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
        address = SecretStr(self.store_address(request))
        made = Program(Settings(data_dir=tmp_path / "var", store=address, log_origin="log.example/audit"))
        self.begin(made)
        yield made
        made.close()


class LogContract(OnAStore):
    """Inherited by a test class per store."""

    # The list

    def test_every_event_makes_one_entry(self, program: Program) -> None:
        events = [*register_events(), generated(use_case="drafts"), *(window(number) for number in range(600))]
        program.publish(*events)
        program.settle()
        values = [parse_entry(raw).value for raw in program.entries()]
        assert sorted(values) == sorted(encode(event) for event in events)
        with program.service.store.reading() as connection:
            assert read_frontier(connection).root() == root_of(map(leaf_hash, program.entries()))

    def test_entries_say_where_they_stood(self, program: Program) -> None:
        program.publish(*(window(number) for number in range(50)))
        program.settle()
        for raw in program.entries():
            found = parse_entry(raw)
            where = found.position
            (record,) = program.bus.read(TopicPartition(where.topic, where.partition), where.offset, 1)
            assert (record.value, record.ingest_time) == (found.value, where.ingest_time)
            assert where.cluster == program.bus.cluster_id

    def test_the_same_event_again_makes_no_second_entry(self, program: Program) -> None:
        program.publish(window(1), window(2), window(1))
        program.settle()
        program.publish(window(2), window(3), window(1))
        program.settle()
        assert program.size() == 3

    def test_other_bytes_under_the_same_name_are_kept_and_marked(self, program: Program) -> None:
        contradiction = window(1).model_copy(update={"time": at(5)})
        program.publish(window(1), contradiction, window(2), contradiction)
        program.settle()
        program.publish(contradiction, window(1))
        program.settle()
        assert program.size() == 3
        with program.service.store.reading() as connection:
            marked = connection.execute(select(conflict)).one()
        entries = program.entries()
        assert parse_entry(entries[marked.first_seq]).value == encode(window(1))
        assert parse_entry(entries[marked.seq]).value == encode(contradiction)

    def test_names_of_two_sources_do_not_mix(self, program: Program) -> None:
        program.publish(window(1, "a"), window(1, "b"))
        program.settle()
        assert program.size() == 2

    def test_a_contradiction_changes_no_state(self, program: Program) -> None:
        program.publish(*register_events(), generated(), generated().model_copy(update={"time": at(1)}))
        program.settle()
        own = ["ReviewRequested", "FindingOpened"]
        assert program.size() == len(register_events()) + 2 + len(own)
        assert program.states() == {"o-1": "pending"}
        program.publish(reviewed(evidence="thumb"))
        program.publish(reviewed(review="r-2").model_copy(update={"id": reviewed().id}))
        program.settle()
        assert program.states() == {"o-1": "pending"}, "what contradicts an event is no review"
        kinds = [(event.data.kind, event.data.about) for event in program.outcomes()]
        assert sorted(kinds) == [("conflicting_duplicate", "o-1.generated"), ("conflicting_duplicate", "r-2")]

    def test_records_read_again_make_no_second_entry(self, program: Program) -> None:
        contradiction = window(1).model_copy(update={"time": at(5)})
        program.publish(window(1), contradiction, window(2))
        program.settle()
        with program.service.store.transaction() as tx:
            tx.connection.execute(delete(METADATA.tables["consumer_position"]))
        program.restart()
        program.settle()
        assert program.size() == 3

    def test_a_batch_that_fails_leaves_nothing(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        program.publish(*register_events(), generated(use_case="drafts"))

        def fail(*_args: object) -> None:
            raise MemoryError

        with monkeypatch.context() as broken:
            broken.setattr(SqlCaseFiles, "save", fail)
            with pytest.raises(MemoryError):
                program.settle()
        assert (program.size(), program.states()) == (0, {})
        program.restart()
        program.settle()
        assert program.size() == len(register_events()) + 1

    def test_batches_of_any_size_give_the_same_tree(self, program: Program) -> None:
        for start in range(0, 700, 70):
            program.publish(*(window(number) for number in range(start, start + 70)))
            program.settle()
        with program.service.store.reading() as connection:
            frontier = read_frontier(connection)
        assert frontier.size == 700
        assert frontier.root() == root_of(map(leaf_hash, program.entries()))

    def test_two_that_append_at_once_interleave_without_gaps(self, program: Program) -> None:
        """Two processes of the log, each with its partitions, on one database."""
        store, failures = program.service.store, []

        def append(topic: str) -> None:
            log = SqlEntryLog()
            for start in range(0, 200, 20):
                arrivals = [arrival(topic, offset) for offset in range(start, start + 20)]
                try:
                    with store.transaction() as tx:
                        log.append(tx, arrivals)
                except Exception as error:  # noqa: BLE001  # told below, in the thread that asserts
                    failures.append(error)

        threads = [threading.Thread(target=append, args=(f"topic-{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        entries = program.entries()
        assert len(entries) == program.size() == 800
        with store.reading() as connection:
            assert read_frontier(connection).root() == root_of(map(leaf_hash, entries))
        offsets = [parse_entry(raw).position for raw in entries]
        assert sorted({(found.topic, found.offset) for found in offsets}) == sorted(
            (f"topic-{number}", offset) for number in range(4) for offset in range(200)
        )

    @pytest.mark.parametrize("since", [0, 20], ids=["shorter", "grown again"])
    def test_a_bus_put_back_from_an_older_copy_is_refused_at_the_start(self, program: Program, since: int) -> None:
        """Grown again it holds new records at places that are counted as read: nobody would miss them."""
        program.publish(*(window(number) for number in range(10)))
        program.settle()
        program.close()
        older = MemoryBus(program.clock, partitions=3)
        older.cluster_id = program.bus.cluster_id
        older.ensure_topics(TOPICS)
        program.bus = older
        program.publish(*(window(number) for number in range(100, 100 + since)))
        with pytest.raises(IncompatibleStoreError, match="the bus is older than the log"):
            program._build()

    def test_a_damaged_head_is_a_sentence(self, program: Program) -> None:
        program.publish(window(0), window(1))
        program.settle()
        with program.service.store.transaction() as tx:
            tx.connection.execute(update(head).values(size=1))
        with pytest.raises(IncompatibleStoreError, match="head of the log is damaged"):
            program.sign()

    def test_a_head_that_moved_meanwhile_is_noticed(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        """Should the lock ever fail, nothing is written over what another has appended."""
        program.publish(window(1))
        program.settle()
        monkeypatch.setattr("services.audit_log.adapters.entries._lock_head", lambda _tx: Frontier())
        with pytest.raises((StalePositionError, RefusedStatementError)), program.service.store.transaction() as tx:
            SqlEntryLog().append(tx, [arrival("topic", 0)])
        assert program.size() == 1

    def test_the_migration_makes_the_tables_that_the_program_describes(self, program: Program) -> None:
        assert_migrations_match(METADATA, "services.audit_log.migrations", program.service.store)

    @pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.name)
    @pytest.mark.parametrize("change", ["update", "delete"])
    def test_rows_are_never_changed(self, program: Program, table: Table, change: str) -> None:
        contradiction = window(1).model_copy(update={"time": at(5)})
        program.publish(*(window(number) for number in range(300)), contradiction)
        program.settle()
        program.sign()
        store = program.service.store
        with unguarded_store(store):  # whoever may do more than the service meets the triggers
            with store.transaction() as tx:
                tx.bulk_insert(
                    receipt, ("anchor", "size", "kind", "receipt", "anchored_at"), [("a", 1, "folder", b"", 0)]
                )
                tx.bulk_insert(pruning, ("before", "pruned_at", "export_size", "export_root"), [(0, 0, 1, "00")])
            *_, column = table.primary_key.columns
            statement = delete(table) if change == "delete" else update(table).values({column: column + 1_000})
            with pytest.raises(RefusedStatementError, match=r"never changed|RaiseException"), store.transaction() as tx:
                tx.connection.execute(statement)

    # Signing

    def test_a_checkpoint_is_signed_over_what_was_committed(self, program: Program) -> None:
        program.publish(*(window(number) for number in range(300)))
        program.settle()
        note = program.sign()
        assert note is not None
        assert (program.settings.data_dir / "checkpoints/latest").read_bytes() == note
        assert program.sign() is None, "nothing grew"
        program.publish(window(300))
        program.settle()
        assert program.sign() not in (None, note)

    def test_entries_that_changed_on_the_disk_are_not_signed_over(self, program: Program) -> None:
        program.publish(*(window(number) for number in range(300)))
        program.settle()
        unguarded(program, "entry", "UPDATE entry SET body = (SELECT body FROM entry WHERE seq = 6) WHERE seq = 7")
        with pytest.raises(IncompatibleStoreError, match="read back"):
            program.sign()

    def test_a_log_that_was_cut_off_is_neither_started_nor_signed(self, program: Program) -> None:
        program.publish(*(window(number) for number in range(10)))
        program.settle()
        program.sign()
        cut_off(program, 7)
        with pytest.raises(IncompatibleStoreError, match="found a log of 7 entries, but 10 were signed"):
            program.sign()
        with pytest.raises(IncompatibleStoreError, match="found a log of 7 entries, but 10 were signed"):
            program.restart()

    def test_a_restored_log_that_grew_on_is_refused(self, program: Program) -> None:
        program.publish(*(window(number) for number in range(10)))
        program.settle()
        program.sign()
        cut_off(program, 7)
        program.publish(*(window(number) for number in range(100, 120)))
        program.service.consumer.close()
        while not program.service.consumer.status().caught_up:
            program.service.consumer.step()
        assert program.size() > 10
        with pytest.raises(IncompatibleStoreError, match="read back"):
            program.sign()
        with pytest.raises(IncompatibleStoreError, match="not those that were signed"):
            program.restart()

    def test_another_key_is_refused(self, program: Program) -> None:
        program.publish(window(1))
        program.settle()
        program.sign()
        key = program.settings.data_dir / "keys/log-ed25519"
        key.write_bytes(bytes(32))
        with pytest.raises(IncompatibleStoreError, match="not signed by the key"):
            program.restart()

    def test_a_lost_key_is_not_replaced_in_silence(self, program: Program) -> None:
        program.publish(window(1))
        program.settle()
        program.sign()
        (program.settings.data_dir / "keys/log-ed25519").unlink()
        with pytest.raises(ConfigurationError, match="found no key"):
            program.restart()

    # Evidence

    def test_an_export_verifies_and_a_flipped_bit_does_not(self, program: Program, tmp_path: Path) -> None:
        program.publish(*(window(number) for number in range(300)))
        program.settle()
        first = program.sign()
        assert first is not None
        program.publish(*(window(number) for number in range(300, 700)))
        program.settle()
        program.sign()
        program.publish(window(700))
        program.settle()
        folder = program.export(tmp_path / "export")
        report = program.verify(folder, kept=first)
        assert (report.exit, report.size, report.damage) == (VERIFIED, 700, ())
        bundle = folder / "tile/entries/001"
        data = bytearray(bundle.read_bytes())
        data[data.index(b'"window_start"') + 20] ^= 1
        bundle.write_bytes(bytes(data))
        report = program.verify(folder)
        assert report.exit == DAMAGED
        assert [(found.kind, found.first) for found in report.damage] == [("entry", 256)]

    def test_an_export_without_a_checkpoint_is_refused(self, program: Program, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="nothing was signed"):
            program.export(tmp_path / "export")

    def test_an_export_overwrites_nothing(self, program: Program, tmp_path: Path) -> None:
        program.sign()
        (tmp_path / "export").mkdir()
        (tmp_path / "export/thesis.txt").write_text("mine")
        with pytest.raises(ConfigurationError, match="holds something"):
            program.export(tmp_path / "export")

    def test_a_log_rewritten_by_its_operator_shows_to_who_kept_a_checkpoint(
        self, program: Program, tmp_path: Path
    ) -> None:
        """With the key and the database, everything can be made again, but not what somebody else remembers."""
        program.publish(*(window(number) for number in range(20)))
        program.settle()
        kept = program.sign()
        assert kept is not None
        empty(program)
        for path in (program.settings.data_dir / "keys").glob("log-signed*"):
            path.unlink()
        program.bus = MemoryBus(program.clock, partitions=3)
        program.bus.ensure_topics(TOPICS)
        program.publish(window(99), *(window(number) for number in range(1, 30)))
        program.restart()
        program.settle()
        program.sign()
        folder = program.export(tmp_path / "export")
        assert program.verify(folder).exit == VERIFIED
        assert program.verify(folder, kept=kept).exit == DAMAGED

    def test_served_files_verify_like_an_export(self, program: Program) -> None:
        program.publish(*(window(number) for number in range(300)))
        program.settle()
        assert client(program).get("/log/checkpoint").status_code == 404
        program.sign()
        program.publish(*(window(number) for number in range(300, 600)))
        program.settle()

        def read(path: str) -> bytes | None:
            answer = client(program).get(f"/log/{path}")
            return answer.content if answer.status_code == 200 else None

        report = verify(read, [], signer(program.settings).key, now=program.clock.now())
        assert (report.exit, report.size) == (VERIFIED, 300)
        assert read("tile/entries/002") is None, "appended, but under no checkpoint yet"
        assert read("tile/entries/../../../keys/log-ed25519") is None

    def test_proofs_over_http_verify(self, program: Program) -> None:
        program.publish(*(window(number) for number in range(300)))
        program.settle()
        program.sign()
        http = client(program)
        with program.service.store.reading() as connection:
            root = read_frontier(connection).root()
        found = http.get("/api/v1/log/entries/258").json()
        proof = http.get("/api/v1/log/proof", params={"index": 258}).json()
        leaf = leaf_hash(decode_base64(found["entry"]))
        assert leaf.hex() == found["leaf_hash"]
        assert verify_inclusion(258, 300, leaf, [decode_base64(one) for one in proof["proof"]], root)
        proof = http.get("/api/v1/log/proof", params={"old_size": 100}).json()
        old_root = root_of(map(leaf_hash, program.entries()[:100]))
        assert verify_consistency(100, 300, old_root, root, [decode_base64(one) for one in proof["proof"]])
        assert http.get("/api/v1/log/proof", params={"index": 300}).status_code == 404
        assert http.get("/api/v1/log/proof").status_code == 422
        assert http.get("/api/v1/log/entries/300").status_code == 404
        name = {"source": found["event"]["source"], "id": found["event"]["id"]}
        assert http.get("/api/v1/log/entries", params=name).json() == found
        assert http.get("/api/v1/log/entries", params=name | {"id": "another"}).status_code == 404
        for beyond in (-1, 2**63 - 1, 10**30):
            assert http.get(f"/api/v1/log/entries/{beyond}").status_code == 422
            assert http.get("/api/v1/log/proof", params={"index": beyond}).status_code == 422
        assert http.get("/api/v1/findings", params={"after": 10**30}).status_code == 422

    # Reviews

    def test_an_overdue_review_opens_a_finding_and_a_review_closes_it(self, program: Program) -> None:
        program.publish(*register_events(), generated(), generated("o-2"), reviewed("o-2", at(2)))
        program.settle()
        assert (program.states(), program.outcomes()) == ({"o-1": "pending", "o-2": "approved"}, [])
        program.clock.advance(timedelta(hours=24, seconds=1))
        program.settle()
        (told,) = program.outcomes()
        assert (told.data.kind, told.data.output_id, told.data.due_at) == ("overdue_review", "o-1", at(24))
        assert findings(program, "open") == ["o-1"]
        program.publish(reviewed("o-1", at(25)))
        program.settle()
        assert [type(event).__name__ for event in program.outcomes()] == ["FindingOpened", "FindingClosed"]
        assert program.outcomes()[1].data.reason == "reviewed_late"
        assert (findings(program, "open"), findings(program, "closed")) == ([], ["o-1"])
        assert program.states() == {"o-1": "late_reviewed", "o-2": "approved"}

    def test_findings_are_told_once_whatever_happens(self, program: Program) -> None:
        program.publish(*register_events(), generated(), used(when=at(1)))
        program.settle()
        program.clock.advance(timedelta(days=2))
        for _ in range(3):
            program.settle()
            program.restart()
            program.publish(generated(), used(when=at(1)))
        program.settle()
        kinds = [event.data.kind for event in program.outcomes()]
        assert sorted(kinds) == ["overdue_review", "used_unreviewed"]

    def test_a_decision_that_did_not_leave_yet_is_not_taken_again(self, program: Program) -> None:
        program.publish(*register_events(), generated())
        program.settle()
        program.clock.advance(timedelta(days=2))
        for _ in range(3):
            program.service.tick()
            program.service.relay.step()
            program.clock.advance(timedelta(hours=1))
            with program.service.store.transaction() as tx:
                tx.connection.execute(update(case_file).values(next_look=MONDAY))
        program.settle()
        (told,) = program.outcomes()
        assert told.data.detected_at == at(48)

    def test_a_register_that_comes_late_heals(self, program: Program) -> None:
        program.publish(generated(), used(when=at(1)))
        program.settle()
        assert program.states() == {"o-1": "generated"}
        program.publish(*register_events()[:-1])
        program.settle()
        assert program.states() == {"o-1": "generated"}, "not before the marker"
        program.publish(register_events()[-1])
        program.settle()
        assert program.states() == {"o-1": "used_unreviewed"}

    def test_a_fact_that_is_gone_holds_no_more(self, program: Program) -> None:
        program.publish(*register_events())
        program.settle()
        chat = without_fact(2, UseCaseRegistered, "UseCaseRegistered-1")
        program.publish(chat, register_events(2)[-1], generated(use_case="chat"))
        program.settle()
        program.clock.advance(timedelta(days=2))
        program.settle()
        assert program.states() == {"o-1": "overdue"}, "unclassified, so due after a day instead of a week"

    def test_states_are_derived(self, program: Program) -> None:
        program.publish(generated("o-0"), *register_events(), *(generated(f"o-{number}") for number in range(1, 6)))
        program.publish(used("o-1", at(1)), reviewed("o-2", at(2)), reviewed("o-3", at(40)), reviewed("o-9", at(1)))
        program.publish(generated("o-2").model_copy(update={"time": at(3)}))
        program.settle()
        program.clock.advance(timedelta(hours=30))
        program.settle()
        program.publish(reviewed("o-1", at(31), "r-9"), *register_events(2))
        program.settle()
        before, told, size = projections(program), program.outcomes(), program.size()
        assert len(told) > 4
        with program.service.store.transaction() as tx:
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, program.clock.now())
        assert projections(program) == before
        program.settle()
        assert (program.outcomes(), program.size()) == (told, size)

    def test_nothing_is_decided_while_catching_up(self, program: Program) -> None:
        """A log that begins late finds its decisions of an earlier life on the bus."""
        program.publish(*register_events(), generated(), used(when=at(1)))
        program.settle()
        program.clock.advance(timedelta(days=2))
        program.settle()
        told = program.outcomes()
        with unguarded_store(program.service.store), program.service.store.transaction() as tx:
            tx.connection.execute(delete(decision))
            SqlCaseFiles().clear(tx)
        empty(program)
        for path in (program.settings.data_dir / "keys").glob("log-signed*"):
            path.unlink()
        program.clock.advance(timedelta(days=1))
        program.restart()
        records = program.records(REGISTER.name, GOVERNANCE.name)
        with program.service.store.transaction() as tx:
            program.service.consumer.handler.handle([Delivered(one, decode(one.value)) for one in records], tx)
        program.service.tick()
        assert program.service.store.pending_counts() == {}, "the outcomes were not read yet"
        program.settle()
        assert program.outcomes() == told
        assert findings(program, "open") == ["o-1", "o-1"]

    def test_metrics(self, program: Program) -> None:
        program.publish(*register_events(), *(generated(f"o-{number}") for number in (1, 2, 3)), reviewed("o-2", at(2)))
        program.settle()
        program.clock.advance(timedelta(days=2))
        program.publish(generated("o-4", at(47)))
        program.settle()
        program.sign()

        def value(name: str, **labels: str) -> float | None:
            return program.registry.get_sample_value(name, labels)

        assert value("valvomo_outputs", system="now-assist", state="overdue") == 2
        assert value("valvomo_outputs", system="now-assist", state="pending") == 1
        assert value("valvomo_findings_open", unit="kymp", kind="overdue_review") == 2
        assert value("valvomo_review_ratio", system="now-assist") == pytest.approx(1 / 3)
        assert value("valvomo_log_size") == program.size()
        assert value("valvomo_log_checkpoint_timestamp_seconds") == program.clock.now().timestamp()

    def test_outputs_by_state_over_http(self, program: Program) -> None:
        program.publish(*register_events(), *(generated(f"o-{number}") for number in range(5)), reviewed("o-2", at(1)))
        program.settle()
        http = client(program)
        first = http.get("/api/v1/outputs", params={"state": "pending", "limit": 3}).json()
        rest = http.get("/api/v1/outputs", params={"state": "pending", "limit": 3, "after": first["next"]}).json()
        names = [found["output_id"] for found in first["outputs"] + rest["outputs"]]
        assert (names, rest["next"]) == (["o-0", "o-1", "o-3", "o-4"], None)
        (approved,) = http.get("/api/v1/outputs", params={"state": "approved"}).json()["outputs"]
        assert approved["reviews"][0]["standing"] == "valid"
        for name in ("state", "after"):
            assert http.get("/api/v1/outputs", params={name: "\0"}).status_code == 422, "PostgreSQL refuses NUL"

    def test_no_personal_data_beyond_pseudonyms_leaves(self, program: Program) -> None:
        program.publish(*register_events(), generated())
        program.settle()
        program.clock.advance(timedelta(days=2))
        program.settle()
        text_of_outcomes = json.dumps([encode(event).decode() for event in program.outcomes()])
        assert "p-requester" not in text_of_outcomes


def arrival(topic: str, offset: int) -> Arrival:
    return Arrival(Position("c", topic, 0, offset, MONDAY), (topic, str(offset)), b"{}")


def client(program: Program) -> TestClient:
    app = make_app([program.service], CollectorRegistry(), Access(None, program.clock))
    return TestClient(app, "http://localhost")


def findings(program: Program, state: str) -> list[str]:
    found = client(program).get("/api/v1/findings", params={"state": state}).json()["findings"]
    return [one["output_id"] for one in found]


def projections(program: Program) -> list[tuple[Any, ...]]:
    with program.service.store.reading() as connection:
        return [
            tuple(row)
            for table in (case_file, finding, METADATA.tables["register_fact"])
            for row in connection.execute(select(table).order_by(*table.primary_key.columns))
        ]


def unguarded(program: Program, table: str, *statements: str) -> None:
    """Do to the database what only its owner can do."""
    store = program.service.store
    with unguarded_store(store), store.transaction() as tx:
        if store.dialect == "sqlite":
            query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name")
            guards = {row.name: row.sql for row in tx.connection.execute(query, {"name": table})}
            before, after = [f"DROP TRIGGER {name}" for name in guards], list(guards.values())
        else:
            before = [f"ALTER TABLE {table} DISABLE TRIGGER ALL", f"GRANT ALL ON {table} TO CURRENT_USER"]
            after = [f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_{what}" for what in ("change", "truncate")]
        for statement in (*before, *statements, *after):
            tx.connection.exec_driver_sql(statement)


def cut_off(program: Program, size: int) -> None:
    """Put the log back to `size` entries, tree and all, as a restored backup would."""
    entries = program.entries()[:size]
    unguarded(program, "entry", f"DELETE FROM entry WHERE seq >= {size:d}")  # noqa: S608
    frontier = Frontier()
    frontier.append(map(leaf_hash, entries))
    with program.service.store.transaction() as tx:
        tx.connection.execute(update(head).values(size=size, edge=frontier.encode()))


def empty(program: Program) -> None:
    """Leave nothing of the log but its tables."""
    for table in ("entry", "tile", "checkpoint", "conflict"):
        unguarded(program, table, f"DELETE FROM {table}")  # noqa: S608
    with unguarded_store(program.service.store), program.service.store.transaction() as tx:
        tx.connection.execute(update(head).values(size=0, edge=b""))
        for name in (
            "entry_name",
            "entry_name_recent",
            "source_partition",
            "consumer_position",
            "rebuild_horizon",
            "store_info",
        ):
            tx.connection.execute(delete(METADATA.tables[name]))
