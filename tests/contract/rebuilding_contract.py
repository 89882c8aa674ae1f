"""What is derived from the log is what the log gives; an edit beside it is found and named, on every store."""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import text

from services.audit_log.adapters.comparing import Difference, compare
from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.holds import place_hold
from services.audit_log.adapters.indexing import index_some
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.handlers import rebuild
from services.shared.events.log import Hold
from tests.contract.log_contract import OnAStore, Program
from tests.unit.audit_log.events import at, generated, register_events, reviewed, used, window


class Edit(NamedTuple):
    """What somebody does to the database by hand, and the row that shows it."""

    what: str
    statement: str
    table: str
    key: str | None = None


EDITS = (
    Edit("a state that nobody decided", "UPDATE case_file SET state = 'approved' WHERE output_id = 'o-1'", "case_file",
         "o-1"),
    Edit("a case rewritten",
         """UPDATE case_file SET document = replace(document, 'kymp', 'sote') WHERE output_id = 'o-10'""",
         "case_file", "o-10"),
    Edit("a case never to be looked at again", "UPDATE case_file SET next_look = NULL WHERE output_id = 'ö-3'",
         "case_file", "ö-3"),
    Edit("a case removed", "DELETE FROM case_file WHERE output_id = 'ö-2'", "case_file", "ö-2"),
    Edit("a finding removed", "DELETE FROM finding WHERE output_id = 'ö-2'", "finding"),
    Edit("a finding closed by nobody", "UPDATE finding SET closed_seq = 3, closed = 'null' WHERE output_id = 'o-1'",
         "finding"),
    Edit("a policy removed", "DELETE FROM register_fact WHERE kind = 'policy'", "register_fact",
         "policy PolicyPublished-0"),
    Edit("a hold made shorter", "UPDATE hold SET last_seq = 3", "hold", "h-1"),
    Edit("an entry hidden from the search", "DELETE FROM facet WHERE seq = 5", "facet"),
    Edit("a time made shorter", "UPDATE time_block SET last_time = first_time", "time_block", "0"),
    Edit("a source hidden from the search", "DELETE FROM event_source WHERE source = 'test/usage'", "event_source",
         "test/usage"),
    Edit("a name moved", "UPDATE {names} SET number = 7 WHERE number = 5", "entry_name"),
    Edit("a name removed", "DELETE FROM {names} WHERE number = 6", "entry_name"),
    Edit("an entry marked as a contradiction", "INSERT INTO conflict (seq, first_seq) VALUES (5, 4)", "conflict", "5"),
)  # fmt: skip


class RebuildingContract(OnAStore):
    """Inherited by a test class per store."""

    def begin(self, program: Program) -> None:
        tell_a_story(program)

    def test_nothing_differs_whatever_the_program_is_doing(self, program: Program) -> None:
        assert differences(program) == []
        program.publish(reviewed("ö-2", at(40), "r-2"), *register_events(2))
        program.settle()
        assert differences(program) == [], "also before the index of the search has seen it all"
        program.clock.advance(timedelta(days=3))
        assert differences(program) == [], "cases that wait to be judged again are no difference"
        program.settle()
        while index_some(program.service.store):
            pass
        assert differences(program) == []

    def test_every_edit_beside_the_log_is_found_and_named(self, program: Program) -> None:
        with program.service.store.transaction() as tx:
            names = "entry_name_recent" if tx.dialect == "sqlite" else "entry_name"
            for edit in EDITS:
                tx.connection.exec_driver_sql(edit.statement.format(names=names))
        found = differences(program)
        assert all(one.stored != one.log for one in found)
        rows = {(one.table, one.key) for one in found} | {(one.table, None) for one in found}
        assert [edit for edit in EDITS if (edit.table, edit.key) not in rows] == []

    def test_what_is_derived_is_made_again(self, program: Program) -> None:
        with program.service.store.transaction() as tx:
            for edit in ("UPDATE case_file SET state = 'approved'", "DELETE FROM finding", "DELETE FROM register_fact"):
                tx.connection.execute(text(edit))
        assert differences(program)
        with program.service.store.transaction() as tx:
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, program.clock.now())
        assert differences(program) == []


def tell_a_story(program: Program) -> None:
    """Register, outputs in several states, findings open and closed, a contradiction, a hold; all indexed."""
    program.publish(*register_events(), *(window(number) for number in range(30)))
    program.publish(generated(), generated("ö-2"), used("ö-2", at(1)), generated("o-10"), reviewed("o-10", at(2)))
    program.publish(window(1).model_copy(update={"time": at(5)}))
    program.settle()
    program.clock.advance(timedelta(days=2))
    program.settle()
    program.publish(generated("ö-3", at(50)))
    with program.service.store.transaction() as tx:
        place_hold(tx, Hold(hold="h-1", first=0, last=9, reason="a case in court", approver="lawyer"), at(0))
    program.settle()
    program.sign()
    while index_some(program.service.store):
        pass


def differences(program: Program) -> list[Difference]:
    with program.service.store.reading() as connection:
        return list(compare(connection, program.clock.now()))
