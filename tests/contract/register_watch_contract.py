"""What the watch over the AI register does on every store: findings about uses, systems and incidents, each once."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from services.audit_log.adapters.ai_register.incident_desk import Accepted, IncidentDesk, Refused, Teller
from services.audit_log.adapters.ai_register.incident_files import list_incidents, read_incident
from services.audit_log.adapters.ai_register.sightings import VALUES_AT_MOST, read_sightings
from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.indexing import clear_index, index_some
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import finding
from services.audit_log.domain.ai_register.findings import KINDS
from services.audit_log.domain.ai_register.incidents import NewEnd, NewIncident, NewNotification
from services.audit_log.domain.retention import Range
from services.audit_log.handlers import TOPICS, rebuild
from services.shared.bus import Message
from services.shared.events.governance import SampleCommitment, SampleCommitted
from services.shared.events.outcomes import FindingClosed, FindingOpened, IncidentOpened
from services.shared.events.register import LegalDate, PolicyPublished, System, Unit, UseCase
from services.shared.events.usage import Reading, UsageRecorded
from tests.contract.log_contract import OnAStore, Program
from tests.contract.retention_contract import prune_range
from tests.unit.audit_log.events import (
    MONDAY,
    POLICY,
    USE_CASES,
    at,
    generated,
    register_events,
    use_case,
    window,
    without_fact,
)
from tests.unit.audit_log.register_city import published

TELLER = Teller("security")
LEGAL = LegalDate.model_validate(
    {
        "id": "soon", "on": "2026-11-18", "risk_classes": ["high_decision"], "requires": ["dpia"], "article": "27",
        "warn_days": 30,
    }
)  # fmt: skip
STRICT = POLICY.model_copy(update={"legal_dates": (LEGAL,)})


def reading(number: int, system: str = "now-assist", sku: str = "sonnet", **members: object) -> UsageRecorded:
    fields = {
        "reading_id": f"r-{number}", "system": system, "sku": sku, "charge_period_start": at(number % 24),
        "charge_period_end": at(number % 24 + 1), "consumed": {"input_tokens": Decimal(5)}, **members,
    }  # fmt: skip
    data = Reading.model_validate(fields)
    return UsageRecorded(id=f"r-{number}.0", source="test/usage", subject=system, time=at(number % 24), data=data)


def changed(name: str = "benefits", **members: object) -> tuple[UseCase, ...]:
    """The register's use cases, one of them with other members."""
    return tuple(
        UseCase.model_validate({**one.model_dump(), **members}) if one.id == name else one for one in USE_CASES
    )


def watch(program: Program) -> None:
    """Work until nothing is left, the register watched."""
    program.settle()
    while index_some(program.service.store):
        pass
    program.service.watch.step()
    program.settle()


def found(program: Program) -> list[tuple[str, str | None, str, str | None]]:
    """(kind, about, severity, why it was closed) of the watch's findings, in the order in which they were opened."""
    closings = {one.data.finding_id: one.data.reason for one in program.outcomes() if isinstance(one, FindingClosed)}
    opened = [one.data for one in program.outcomes() if isinstance(one, FindingOpened) and one.data.kind in KINDS]
    with program.service.store.reading() as connection:
        rows = connection.execute(
            select(finding.c.finding_id, finding.c.closed_seq).where(finding.c.output_id.is_(None))
        )
        kept = {row.finding_id: row.closed_seq is not None for row in rows}
    assert kept == {one.finding_id: one.finding_id in closings for one in opened}, "the table tells what the log tells"
    return [(one.kind, one.about, one.severity or "", closings.get(one.finding_id)) for one in opened]


class RegisterWatchContract(OnAStore):
    """Inherited by a test class per store."""

    def test_a_missing_record_is_told_before_and_at_its_date_and_closed_when_it_is_there(
        self, program: Program
    ) -> None:
        program.publish(*register_events(policies=(STRICT,)))
        watch(program)
        warned = ("record_missing", "dpia soon", "warning", None)
        assert found(program) == [warned]
        watch(program)
        assert found(program) == [warned], "it is told once"
        program.clock.advance(timedelta(days=2))
        watch(program)
        watch(program)
        overdue = ("record_missing", "dpia soon", "severe", None)
        assert found(program) == [(*warned[:3], "resolved"), overdue]
        program.publish(*register_events(2, policies=(STRICT,), use_cases=changed(dpia="KYMP-2026-1")))
        watch(program)
        assert found(program) == [(*warned[:3], "resolved"), (*overdue[:3], "recorded")]
        program.publish(*register_events(3, policies=(STRICT,)))
        watch(program)
        assert found(program)[2:] == [overdue], "it is gone again: another finding"

    def test_a_newer_policy_does_not_make_what_was_overdue_vanish(self, program: Program) -> None:
        program.clock.advance(timedelta(days=2))
        program.publish(*register_events(policies=(STRICT,)))
        watch(program)
        milder = POLICY.model_copy(update={"version": 4, "valid_from": date(2026, 11, 17)})
        program.publish(*register_events(2, policies=(STRICT, milder)))
        watch(program)
        assert found(program) == [("record_missing", "dpia soon", "severe", None)]

    def test_what_no_use_case_covers_is_found_and_closed_when_somebody_registers_it(self, program: Program) -> None:
        narrow = changed(covers={"models": ["sonnet*"], "regions": ["eu"]})[:1]
        program.publish(*register_events(use_cases=narrow), reading(1), reading(2, "shadow", "m"), reading(3, sku="o4"))
        program.publish(generated(region="us"), reading(4, sku="sonnet-5", dimensions={"region": "eu"}))
        program.publish(reading(5, sku="test-model", environment="test"))
        watch(program)
        uses = {("uncovered_use", about, severity, None) for about, severity in (
            ("system shadow", "warning"), ("model o4", "severe"), ("region us", "severe"),
        )}  # fmt: skip
        assert set(found(program)) == uses
        assert len(found(program)) == 3
        wider = changed(covers={"models": ["sonnet*", "o4"], "regions": ["eu"]})[:1]
        program.publish(
            *register_events(2, use_cases=(*wider, use_case("other").model_copy(update={"systems": ("shadow",)})))
        )
        watch(program)
        closed = {about for _, about, _, reason in found(program) if reason == "recorded"}
        assert closed == {"system shadow", "model o4"}

    def test_a_system_that_no_use_case_knows_is_a_matter_of_the_unit_that_owns_it(self, program: Program) -> None:
        unit = Unit.model_validate({"id": "neuvonta", "name": {"en": "N"}, "valid_from": "2026-01-01"})
        owned = [
            System.model_validate({"id": name, "vendor": "v", "name": name, "owner": owner})
            for name, owner in (("shadow", "neuvonta"), ("other", "ict"))
        ]
        program.publish(*published(1, [unit, *owned, POLICY]), reading(1, "shadow"), reading(2, "other"))
        watch(program)
        opened = [one.data for one in program.outcomes() if isinstance(one, FindingOpened)]
        assert {(one.system, one.unit) for one in opened} == {("shadow", "neuvonta"), ("other", "unallocated")}

    def test_a_register_that_comes_right_after_a_use_makes_no_false_finding(self, program: Program) -> None:
        program.publish(*register_events(use_cases=()), reading(1))
        program.settle()
        while index_some(program.service.store):
            pass
        program.publish(*register_events(2))
        program.service.watch.step()  # the log has not read yet what is on the bus
        watch(program)
        assert found(program) == []

    def test_an_index_that_is_made_again_closes_nothing(self, program: Program) -> None:
        program.publish(*register_events(), reading(1, "shadow"))
        watch(program)
        with program.service.store.transaction() as tx:
            clear_index(tx)
        program.clock.advance(timedelta(minutes=2))
        program.settle()
        program.service.watch.step()
        program.settle()
        assert [one[3] for one in found(program)] == [None]
        with program.service.store.reading() as connection:
            assert read_sightings(connection) == []
        watch(program)
        assert [one[3] for one in found(program)] == [None]

    def test_without_a_policy_only_incidents_have_clocks(self, program: Program) -> None:
        program.publish(*register_events(policies=()), reading(1, "shadow"))
        watch(program)
        open_one(program)
        program.clock.advance(timedelta(days=20))
        watch(program)
        assert Counter(one[0] for one in found(program)) == {"incident_late": 2}

    def test_a_policy_that_is_taken_back_answers_nothing(self, program: Program) -> None:
        program.publish(*register_events(policies=(STRICT,)))
        watch(program)
        before = found(program)
        assert before == [("record_missing", "dpia soon", "warning", None)]
        program.publish(without_fact(2, PolicyPublished, "PolicyPublished-0"), *register_events(2, policies=()))
        watch(program)
        assert found(program) == before

    def test_two_that_watch_tell_it_once(self, program: Program) -> None:
        """As two processes do, before the log has read back what either of them said."""
        program.publish(*register_events(policies=(STRICT,)), reading(1, "shadow"))
        program.settle()
        while index_some(program.service.store):
            pass
        program.service.watch.step()
        program.service.relay.step()
        program.service.watch._ends = {}  # the other one knows nothing of an earlier look
        program.clock.advance(timedelta(minutes=1))
        program.service.watch.step()
        program.settle()
        opened = [event.id for event in program.outcomes() if isinstance(event, FindingOpened)]
        assert len(opened) == len(set(opened)) == 2

    def test_an_empty_database_tells_nothing_twice(self, program: Program) -> None:
        """What an earlier life decided stands on the bus: it is read, and not decided again."""
        program.publish(*register_events(policies=(STRICT,)), reading(1, "shadow"))
        watch(program)
        before = found(program)
        elsewhere = {"data_dir": program.settings.data_dir.parent / "again", "store": SecretStr("sqlite")}
        again = Program(program.settings.model_copy(update=elsewhere))
        again.bus.publish([Message(one.topic, one.key, one.value) for one in program.records(*TOPICS)])
        again.clock.advance(program.clock.now() - again.clock.now())
        watch(again)
        assert found(again) == before
        again.close()

    def test_a_sender_of_ever_new_models_does_not_fill_the_database(self, program: Program) -> None:
        program.publish(*register_events(use_cases=changed(covers={"models": ["sonnet"]})[:1]))
        program.publish(*(reading(number, sku=f"m-{number}") for number in range(VALUES_AT_MOST + 100)))
        watch(program)
        with program.service.store.reading() as connection:
            models = [one.seen.value for one in read_sightings(connection) if one.seen.aspect == "model"]
        assert len(models) == VALUES_AT_MOST
        assert "m-0" in models
        assert len(found(program)) == 26
        assert ("uncovered_use", "model *", "severe", None) in found(program)

    def test_sightings_are_the_same_in_whatever_portions_they_are_read(self, program: Program) -> None:
        program.publish(*(reading(number, sku=f"m-{number % 7}") for number in range(200)), generated(model="m-1"))
        program.settle()
        while index_some(program.service.store, 13):
            pass
        with program.service.store.reading() as connection:
            portions = read_sightings(connection)
        with program.service.store.transaction() as tx:
            clear_index(tx)
        while index_some(program.service.store):
            pass
        with program.service.store.reading() as connection:
            assert read_sightings(connection) == portions
        assert len(portions) == 8
        assert portions[0].first_at == MONDAY.replace(minute=0)

    def test_what_stays_when_old_entries_are_pruned(self, program: Program) -> None:
        """Findings about no output, and incidents: the rest of the log still gives them."""
        program.publish(*register_events(policies=(STRICT,)), reading(1, "shadow"), a_sample())
        watch(program)
        open_one(program)
        watch(program)
        program.publish(*(window(number) for number in range(600)))
        program.settle()
        before, files = found(program), listed(program)
        prune_range(program, Range(0, 512))
        with program.service.store.transaction() as tx:
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, program.clock.now())
        assert (found(program), listed(program)) == (before, files)
        assert before

    # Incidents

    def test_the_life_of_an_incident(self, program: Program) -> None:
        program.publish(*register_events())
        program.settle()
        done = open_one(program, use_case="benefits", unit=None)
        assert done == Accepted("i-1", "benefits")
        program.settle()
        assert listed(program) == [("i-1", "kymp", "now-assist", False)]
        assert desk(program).notify(TELLER, told("provider")) == Accepted("i-1")
        program.settle()
        refused = desk(program).close(TELLER, NewEnd(incident_id="i-1", outcome="mended and told"))
        assert isinstance(refused, Refused)
        assert "authority" in refused.sentence
        assert desk(program).notify(TELLER, told("authority")) == Accepted("i-1")
        program.settle()
        assert desk(program).close(TELLER, NewEnd(incident_id="i-1", outcome="mended and told")) == Accepted("i-1")
        program.settle()
        assert listed(program) == [("i-1", "kymp", "now-assist", True)]
        program.clock.advance(timedelta(days=40))
        watch(program)
        assert found(program) == []

    def test_a_clock_that_runs_out_is_told_once_and_closed_when_somebody_is_told(self, program: Program) -> None:
        open_one(program, kind="widespread")
        program.settle()
        program.clock.advance(timedelta(days=2, hours=13, minutes=59))
        watch(program)
        assert found(program) == []
        program.clock.advance(timedelta(minutes=2))  # past midnight in Helsinki
        watch(program)
        late = [("incident_late", f"i-1 {whom}", "severe", None) for whom in ("provider", "authority")]
        assert found(program) == late
        desk(program).notify(TELLER, told("provider", program))
        watch(program)
        watch(program)
        assert found(program) == [(*late[0][:3], "recorded"), late[1]]
        refused = desk(program).close(TELLER, NewEnd(incident_id="i-1", outcome="was nothing", not_reportable=True))
        assert refused == Accepted("i-1")
        watch(program)
        assert found(program) == [(*late[0][:3], "recorded"), late[1]], "closing does not answer a clock that ran out"

    def test_what_is_refused(self, program: Program) -> None:
        program.publish(*register_events(), generated())
        program.settle()
        assert refusal(open_one(program, unit=None)) == "no_unit"
        assert refusal(open_one(program, aware_at=at(1))) == "future"
        assert refusal(desk(program).open(Teller("p-1", frozenset({"sote"})), new())) == "elsewhere"
        assert refusal(desk(program).notify(TELLER, told("provider"))) == "unknown"
        with pytest.raises(ValueError, match="address"):
            open_one(program, what="tell matti.meikalainen@example.org of it")
        assert isinstance(open_one(program, output_id="o-1", unit=None), Accepted)
        assert refusal(open_one(program)) == "taken"
        program.settle()
        assert refusal(open_one(program)) == "taken"
        assert refusal(desk(program).notify(Teller("p-1", frozenset({"sote"})), told("provider"))) == "elsewhere"
        before = told("provider").model_copy(update={"notified_at": MONDAY - timedelta(days=1)})
        assert refusal(desk(program).notify(TELLER, before)) == "before_awareness"
        assert isinstance(desk(program).notify(TELLER, told("provider")), Accepted)
        assert refusal(desk(program).notify(TELLER, told("provider"))) == "taken"
        end = NewEnd(incident_id="i-1", outcome="nothing came of it", not_reportable=True)
        assert isinstance(desk(program).close(TELLER, end), Accepted)
        program.settle()
        assert refusal(desk(program).close(TELLER, end)) == "closed"
        with program.service.store.reading() as connection:
            file = read_incident(connection, "i-1")
        assert file is not None
        assert (file.incident.system, file.incident.use_case) == ("now-assist", "benefits")
        assert file.end is not None
        assert file.end.outcome == "not reportable: nothing came of it"

    def test_a_role_in_a_unit_holds_in_the_units_below_it(self, program: Program) -> None:
        below = [
            Unit.model_validate({"id": name, "parent": above, "name": {"en": "N"}, "valid_from": "2026-01-01"})
            for name, above in (("city", None), ("kymp", "city"), ("sote", "city"))
        ]
        program.publish(*published(1, [*below, POLICY]))
        program.settle()
        for name, units, done in (("i-1", {"city"}, None), ("i-2", {"kymp"}, None), ("i-3", {"sote"}, "elsewhere")):
            teller = Teller("p-1", frozenset(units))
            assert refusal(desk(program).open(teller, new(incident_id=name))) == done
            program.settle()
            end = NewEnd(incident_id="i-1", outcome="nothing came of it", not_reportable=True)
            closed = refusal(desk(program).close(teller, end))
            assert closed == {"i-1": None, "i-2": "closed", "i-3": "elsewhere"}[name]

    def test_what_is_told_of_an_unknown_incident_or_told_anew_changes_nothing(self, program: Program) -> None:
        open_one(program)
        program.settle()
        (opened,) = [one for one in program.outcomes() if isinstance(one, IncidentOpened)]
        again = opened.data.model_copy(update={"what": "something else altogether"})
        program.publish(opened.model_copy(update={"id": "other", "data": again}))
        desk(program).notify(TELLER, told("provider"))
        program.settle()
        stray = next(one for one in program.outcomes() if one.type == "valvomo.incident.notified.v1")
        lost = stray.data.model_copy(update={"incident_id": "i-9"})
        program.publish(stray.model_copy(update={"id": "stray", "subject": "i-9", "data": lost}))
        program.settle()
        with program.service.store.reading() as connection:
            (file,) = list_incidents(connection)
        assert file.incident == opened.data
        assert [one.whom for one in file.notified] == ["provider"]


def a_sample() -> SampleCommitted:
    """Of the governance topic, and about no output."""
    data = SampleCommitment(
        period="2026-11", first_day=date(2026, 11, 1), last_day=date(2026, 11, 30), commitment="0" * 64,
        committed_at=MONDAY,
    )  # fmt: skip
    return SampleCommitted(id="s-1", source="test/governance", subject="2026-11", time=MONDAY, data=data)


def desk(program: Program) -> IncidentDesk:
    return IncidentDesk(program.service.store, program.clock)


def new(**members: object) -> NewIncident:
    fields = {"incident_id": "i-1", "kind": "serious", "what": "a wrong refusal", "aware_at": MONDAY, "unit": "kymp"}
    return NewIncident.model_validate({**fields, **members})


def open_one(program: Program, **members: object) -> Accepted | Refused:
    return desk(program).open(TELLER, new(**members))


def told(whom: str, program: Program | None = None) -> NewNotification:
    when = program.clock.now() if program else MONDAY
    return NewNotification.model_validate({"incident_id": "i-1", "whom": whom, "notified_at": when})


def refusal(done: Accepted | Refused) -> str | None:
    return done.reason if isinstance(done, Refused) else None


def listed(program: Program) -> list[tuple[str, str, str | None, bool]]:
    with program.service.store.reading() as connection:
        files = list_incidents(connection)
    return [(one.incident.incident_id, one.incident.unit, one.incident.system, one.end is not None) for one in files]
