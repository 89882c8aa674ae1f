"""Pruning: only what may go goes, all of it or nothing, and the log goes on as before, on every store."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text

from services.audit_log.adapters import retention
from services.audit_log.adapters.comparing import compare
from services.audit_log.adapters.entries import SqlEntryLog, entries_named, read_frontier
from services.audit_log.adapters.holds import place_hold, release_hold, standing_holds
from services.audit_log.adapters.indexing import index_some
from services.audit_log.adapters.pruned import minimum_index
from services.audit_log.adapters.retention import Pruned, find_limits, prune
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.search import find
from services.audit_log.adapters.tables import METADATA, conflict, entry, facet
from services.audit_log.domain.retention import Limit, Range, chosen, months_before, tightest
from services.audit_log.domain.search import Filter
from services.audit_log.handlers import rebuild
from services.shared.errors import ConfigurationError
from services.shared.events import Event
from services.shared.events.log import Hold, HoldRelease, Pruning
from services.shared.store.faults import RefusedStatementError
from services.shared.tlog.merkle import leaf_hash, verify_inclusion
from services.shared.tlog.note import decode_base64
from services.verifier.verify import DAMAGED, UNVERIFIABLE, VERIFIED
from tests.contract.log_contract import OnAStore, Program, client, projections, unguarded
from tests.contract.unguarded import unguarded_store
from tests.unit.audit_log.events import at, generated, register_events, reviewed, used, window

YEARS = timedelta(days=73 * 31)
"""A month longer than the retention period."""
REJECTED = "a" * 64
CONTRADICTION = window(3).model_copy(update={"time": at(5)})


class RetentionContract(OnAStore):
    """Inherited by a test class per store."""

    def begin(self, program: Program) -> None:
        """Six years ago: two bundles and some more entries. Now: a few."""
        program.publish(
            *register_events(), generated("settled"), generated("waits"), generated("long"), CONTRADICTION, window(3)
        )
        program.publish(reviewed("settled", at(1)), reviewed("long", at(1)))
        program.publish(generated("rejected", content_hash=REJECTED), reviewed("rejected", at(1), decision="rejected"))
        program.settle()
        program.publish(*(window(number) for number in range(4, 530)))
        program.settle()
        program.sign()
        program.clock.advance(YEARS)
        program.publish(window(1000), used("long", at(2)), window(1001))
        program.settle()
        program.sign()
        while index_some(program.service.store):
            pass

    def test_after_pruning_everything_goes_on(self, program: Program, tmp_path: Path) -> None:
        gone, old = place_of(program, window(3), generated("settled")), program.entries()
        http = client(program)
        note = http.get("/log/checkpoint").content
        proof = http.get("/api/v1/log/proof", params={"index": gone[0]}).json()
        older = program.export(tmp_path / "older")

        done = pruned(program)
        assert (done.before, done.outputs) == (512, 2)
        assert done.gone + done.stay == 512
        assert 8 <= done.stay < 20, "the register, and the outputs that somebody still has to look at or used later"

        assert http.get("/log/checkpoint").content == note
        assert http.get("/api/v1/log/proof", params={"index": gone[0]}).json() == proof, "proofs stay what they were"
        found = [http.get(f"/log/tile/{tile}/000") for tile in ("0", "entries")]
        assert [answer.status_code for answer in found] == [200, 404]
        assert "was pruned" in found[1].json()["detail"]
        leaf = found[0].content[32 * gone[0] : 32 * gone[0] + 32]
        hashes, root = [decode_base64(one) for one in proof["proof"]], frontier_root(program)
        assert leaf == leaf_hash(old[gone[0]])
        assert verify_inclusion(gone[0], len(old), leaf, hashes, root)
        assert http.get(f"/api/v1/log/entries/{gone[1]}").status_code == 410

        program.publish(window(2000))
        program.settle()
        for path in (program.settings.data_dir / "keys").glob("log-signed*"):
            path.unlink()  # the signer reads again what there is to read
        assert program.sign() is not None
        program.restart()
        folder = program.export(tmp_path / "younger")
        assert not (folder / "tile/entries/000").exists()
        report = program.verify(folder, kept=note)
        assert (report.exit, report.damage) == (VERIFIED, ())
        assert [(found.first, found.last) for found in report.notices if found.kind == "pruned"] == [(0, 511)]
        assert program.verify(older, kept=note).exit == VERIFIED, "what was taken out before verifies as before"

    def test_what_is_derived_is_what_the_rest_gives(self, program: Program) -> None:
        held_by = "p-requester"
        before = found_by(program, Filter(person=held_by))
        pruned(program)
        program.settle()
        assert set(program.states()) == {"waits", "long"}
        assert differences(program) == []
        assert set(found_by(program, Filter(person=held_by))) < set(before)
        then = projections(program)
        with program.service.store.transaction() as tx:
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, program.clock.now())
        assert projections(program) == then
        with program.service.store.reading() as connection:
            orphans = select(facet.c.seq).where(facet.c.seq.not_in(select(entry.c.seq)))
            assert connection.execute(orphans).all() == [], "nothing tells any more whom a pruned entry was about"

    def test_what_came_again_after_a_rejection_that_is_gone(self, program: Program) -> None:
        program.publish(generated("again", program.clock.now(), content_hash=REJECTED))
        program.settle()
        assert resubmitted(program) == {"again": "rejected"}
        pruned(program)
        program.settle()
        assert differences(program) == []
        assert resubmitted(program) == {"again": None}, "what is kept names nothing that is not"

    def test_what_was_pruned_is_known_again(self, program: Program) -> None:
        pruned(program)
        program.settle()
        size = program.size()
        with program.service.store.transaction() as tx:
            tx.connection.execute(delete(METADATA.tables["consumer_position"]))
        program.restart()
        program.settle()
        assert program.size() == size, "the same records make no second entries"
        (first,) = place_of(program, window(4))
        program.publish(window(4).model_copy(update={"time": at(9)}))
        program.settle()
        with program.service.store.reading() as connection:
            marked = connection.execute(select(conflict).where(conflict.c.seq == size)).one()
        assert marked.first_seq == first, "a contradiction of what was pruned is kept and marked"
        assert differences(program) == []

    def test_a_second_pruning_goes_on_from_the_first(self, program: Program, tmp_path: Path) -> None:
        pruned(program)
        program.publish(*(window(number) for number in range(3000, 3300)))
        program.settle()
        program.clock.advance(YEARS)
        program.publish(window(4000))
        program.settle()
        program.sign()
        done = pruned(program)
        assert done.before == 768
        program.publish(window(4001))
        program.settle()
        program.sign()
        report = program.verify(program.export(tmp_path / "export"))
        assert report.exit == VERIFIED
        assert differences(program) == []

    def test_bytes_that_went_without_the_ceremony_are_damage(self, program: Program, tmp_path: Path) -> None:
        pruned(program)
        program.settle()
        unguarded(program, "entry", "DELETE FROM entry WHERE seq = 515")
        program.publish(window(2000))
        program.settle()
        program.sign()
        assert program.verify(program.export(tmp_path / "export")).exit == DAMAGED
        for path in (tmp_path / "export/tile/entries").iterdir():
            path.unlink() if path.is_file() else None
        assert program.verify(tmp_path / "export").exit in (DAMAGED, UNVERIFIABLE)

    def test_a_hold_keeps_entries_until_its_release_is_in_the_log(self, program: Program) -> None:
        store = program.service.store
        with store.transaction() as tx:
            place_hold(tx, Hold(hold="h", first=300, last=None, reason="court", approver="lawyer"), program.clock.now())
        assert wanted(program) == Range(0, 256), "at once, before the log has read it back"
        assert "hold h" in str(wanted(program, through=511))
        program.settle()
        assert wanted(program) == Range(0, 256)
        release = HoldRelease(hold="h", reason="over", approver="lawyer")
        with store.transaction() as tx:
            release_hold(tx, release, program.clock.now())
        assert wanted(program) == Range(0, 256)
        program.settle()
        assert wanted(program) == Range(0, 512)
        with store.reading() as connection:
            assert standing_holds(connection) == []
        with pytest.raises(ConfigurationError, match="was released before"), store.transaction() as tx:
            release_hold(tx, release, program.clock.now())
        assert differences(program) == []

    def test_a_hold_that_comes_between_looking_and_pruning_stands(self, program: Program) -> None:
        chosen_before = wanted(program)
        assert isinstance(chosen_before, Range)
        with program.service.store.transaction() as tx:
            place_hold(tx, Hold(hold="h", first=0, last=9, reason="court", approver="lawyer"), program.clock.now())
        with pytest.raises(ConfigurationError, match="hold h keeps entries"):
            prune_range(program, chosen_before)
        assert (program.size(), minimum(program)) == (len(program.entries()), 0)

    def test_all_of_it_or_nothing(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        before = program.entries(), projections(program)

        def fail(*_: object) -> Any:  # noqa: ANN401  # stands for any statement after the deleting
            raise MemoryError

        with monkeypatch.context() as broken:
            broken.setattr(retention, "message_of", fail)
            with pytest.raises(MemoryError):
                pruned(program)
        assert (program.entries(), projections(program)) == before
        assert minimum(program) == 0
        assert pruned(program).before == 512

    def test_what_pruning_lets_go_is_all_that_may_ever_go(self, program: Program) -> None:
        pruned(program)
        store = program.service.store
        if store.dialect == "postgresql":
            with store.transaction() as tx:
                tx.connection.execute(text("GRANT ALL ON entry, pruning TO CURRENT_USER"))
        statements = ("UPDATE entry SET body = body", "DELETE FROM entry WHERE seq = 512", "DELETE FROM pruning")
        for statement in statements:
            with unguarded_store(store), pytest.raises(RefusedStatementError), store.transaction() as tx:
                tx.connection.execute(text(statement))


def limits(program: Program) -> list[Limit]:
    older_than = months_before(program.clock.now(), 72)
    with program.service.store.reading() as connection:
        size = read_frontier(connection).size
        return find_limits(connection, export_size=size, older_than=older_than, anchored=False)


def wanted(program: Program, through: int | None = None) -> Range | str:
    return chosen(minimum(program), tightest(limits(program)), through)


def pruned(program: Program) -> Pruned:
    found = wanted(program)
    assert isinstance(found, Range), found
    return prune_range(program, found)


def prune_range(program: Program, found: Range) -> Pruned:
    export = {"export_size": program.size(), "export_root": frontier_root(program).hex()}
    told = Pruning(first=0, last=found.before - 1, reason="old", approver="records", **export)  # type: ignore[arg-type]  # as the model says
    store = program.service.store
    with unguarded_store(store), store.transaction() as tx:
        return prune(tx, found, told, program.clock.now())


def minimum(program: Program) -> int:
    with program.service.store.reading() as connection:
        return minimum_index(connection)


def frontier_root(program: Program) -> bytes:
    with program.service.store.reading() as connection:
        return read_frontier(connection).root()


def place_of(program: Program, *events: Event) -> list[int]:
    with program.service.store.reading() as connection:
        found = entries_named(connection, [(event.source, event.id) for event in events])
    return [found[event.source, event.id] for event in events]


def found_by(program: Program, asked: Filter) -> list[int]:
    with program.service.store.reading() as connection:
        return find(connection, asked, limit=1000).indexes


def resubmitted(program: Program) -> dict[str, str | None]:
    """Output → the one that it came again for, of what came later."""
    with program.service.store.transaction() as tx:
        return {name: case.resubmits for name, case in SqlCaseFiles().load(tx, ["again"]).items()}


def differences(program: Program) -> list[Any]:
    with program.service.store.reading() as connection:
        return list(compare(connection, program.clock.now()))
