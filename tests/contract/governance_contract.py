"""What people are told of reviews and findings on every store: counts, shares, the quarter, and settling by hand."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.audit_log.adapters.indexing import index_some
from services.audit_log.adapters.reviews.findings import (
    FindingCount,
    WantedFindings,
    count_findings,
    count_open,
    find_findings,
    oldest_open,
    settle,
)
from services.audit_log.adapters.reviews.quarter import read_quarter
from services.audit_log.adapters.reviews.shares import latest_months, review_shares
from services.audit_log.adapters.tables import finding
from services.audit_log.domain.reviews.quarter import QuarterReport
from services.audit_log.domain.reviews.sampling import order_by_seed, parse_period
from services.audit_log.domain.reviews.settling import Settlement
from services.shared.events.envelope import event_id
from services.shared.events.outcomes import (
    CollectionGapFound,
    DeadLetter,
    Gap,
    Incident,
    IncidentOpened,
    RecordDeadLettered,
    RoleChange,
    RoleChanged,
)
from services.shared.periods import Month
from tests.contract.log_contract import OnAStore, Program
from tests.unit.audit_log.events import MONDAY, at, generated, register_events, reviewed, used, window

QUARTER = parse_period("2026-Q4")
WORDS = "letter compared with the case file, nothing wrong in it"

WANTED = [
    (WantedFindings(), 6),
    (WantedFindings(still_open=False), 1),
    (WantedFindings(unit="hyve"), 1),
    (WantedFindings(system="copilot", kind="overdue_review"), 1),
    (WantedFindings(use_case="scoring", severity="severe"), 1),
    (WantedFindings(output="a-2"), 2),
    (WantedFindings(older_than=at(20)), 2),
    (WantedFindings(kind="sample_short"), 0),
]


def begin_city(program: Program) -> None:
    """Outputs of two units: overdue, used unreviewed, in time, late; four working days later."""
    program.publish(*register_events())
    program.publish(*(generated(f"a-{number}") for number in range(4)), generated("b-1", unit="hyve", system="copilot"))
    program.publish(generated("x-1", use_case="scoring"), generated("t-1", environment="test"))
    program.publish(reviewed("a-1", at(2)), used("a-2", at(3)))
    program.settle()
    program.clock.advance(timedelta(hours=30))
    program.settle()
    program.publish(reviewed("a-3", at(29), "r-3"), window(1))
    program.settle()
    program.clock.advance(timedelta(days=3))
    program.settle()
    while index_some(program.service.store):
        pass


class GovernanceContract(OnAStore):
    """Inherited by a test class per store."""

    @pytest.fixture
    def city(self, program: Program) -> Program:
        begin_city(program)
        return program

    def test_what_is_told_of_a_city(self, city: Program) -> None:
        """Together, because they only look."""
        self._counts_by_kind_unit_severity_and_age(city)
        self._finds_by_what_they_say(city)
        self._shares_are_of_what_was_due(city)
        self._quarter_has_its_whole_population_and_says_what_it_cannot_vouch_for(city)

    def _counts_by_kind_unit_severity_and_age(self, city: Program) -> None:
        with city.service.store.reading() as connection:
            counts = count_open(connection, city.clock.now())
            old = count_open(connection, city.clock.now() + timedelta(days=40))
            oldest = dict(oldest_open(connection))
        assert {(one.kind, one.unit): one.open for one in counts} == {
            ("overdue_review", "hyve"): 1,
            ("overdue_review", "kymp"): 2,
            ("prohibited_use", "kymp"): 1,
            ("used_unreviewed", "kymp"): 1,
        }
        assert FindingCount("prohibited_use", "kymp", "severe", 1, 1) in counts
        assert {one.age for one in old} == {3}
        assert oldest["used_unreviewed"] < oldest["overdue_review"]

    def _finds_by_what_they_say(self, city: Program) -> None:
        with city.service.store.reading() as connection:
            for wanted, found in WANTED:
                rows = find_findings(connection, wanted, after=-1, limit=100)
                assert (len(rows), count_findings(connection, wanted)) == (found, found), wanted
                assert [row.opened_seq for row in rows] == sorted(row.opened_seq for row in rows)
            rows = find_findings(connection, WantedFindings(), after=-1, limit=2)
            rest = find_findings(connection, WantedFindings(), after=rows[0].opened_seq, limit=1)
        assert [row.finding_id for row in rest] == [rows[1].finding_id]

    def test_a_person_settles_a_finding_once(self, city: Program) -> None:
        store, now = city.service.store, city.clock.now()
        name = _finding(city, "prohibited_use")
        wanted = Settlement(name, WORDS, "p-auditor")
        with store.transaction() as tx:
            assert settle(tx, wanted._replace(finding_id="none"), now, frozenset()) == "unknown"
            assert settle(tx, wanted, now, frozenset({"hyve"})) == "elsewhere"
            assert settle(tx, wanted, now, frozenset({"kymp"})) is None
            assert settle(tx, wanted, now, frozenset()) == "closed", "though its word is still on its way"
        city.settle()
        told = city.outcomes()[-1].data
        assert (told.reason, told.closed_by, told.note) == ("settled", "p-auditor", WORDS)
        with store.transaction() as tx:
            assert settle(tx, wanted, now, frozenset()) == "closed"
        city.clock.advance(timedelta(days=1))
        city.settle()
        assert _finding(city, "prohibited_use") == name, "a settled finding is not opened again"
        assert city.states()["x-1"] == "prohibited", "settling changes no state"

    def _shares_are_of_what_was_due(self, city: Program) -> None:
        with city.service.store.reading() as connection:
            now = city.clock.now()
            shares = {one.unit: one for one in review_shares(connection, latest_months(now, 2), now)}
            before = review_shares(connection, [Month(2026, 10)], now)
            early = review_shares(connection, [Month(2026, 11)], at(10))
        kymp = shares["kymp"]
        assert (kymp.month, kymp.use_case, kymp.risk_class) == ("2026-11", "benefits", "high_decision")
        assert (kymp.in_time, kymp.late, kymp.missing, kymp.due) == (1, 1, 2, 4)
        assert kymp.interval == pytest.approx((0.0456, 0.6994), abs=0.0001)
        assert (shares["hyve"].missing, shares["hyve"].due) == (1, 1)
        assert (before, early) == ([], [])

    def _quarter_has_its_whole_population_and_says_what_it_cannot_vouch_for(self, city: Program) -> None:
        report = _report(city)
        assert (report.outputs, sum(count for _, count in report.states)) == (7, 7)
        assert [(row.system, row.risk_class, row.outputs) for row in report.population] == [
            ("copilot", "high_decision", 1), ("now-assist", "high_decision", 5), ("now-assist", "prohibited", 1),
        ]  # fmt: skip
        assert {row.kind: (row.opened, row.closed, row.open_at_end) for row in report.deviations} == {
            "overdue_review": (4, 1, 3), "prohibited_use": (1, 0, 1), "used_unreviewed": (1, 0, 1),
        }  # fmt: skip
        assert [(line.policy, line.version) for line in report.policies] == [("review", 3)]
        assert [line.source for line in report.sources] == ["s"]
        reasons = {one.reason: one.number for one in report.untested}
        assert reasons["quarter_runs"] == reasons["no_checkpoint"] == reasons["few_reviews"] == 1
        assert (reasons["without_hash"], reasons["few_due"], reasons["silent_sources"]) == (7, 2, 1)
        assert {row.article: row.number for row in report.mapping if row.framework == "AI Act"}["5"] == 1
        assert report.counted.reviews == 2

    def test_what_else_happened_in_the_quarter_is_listed_with_its_entries(self, city: Program) -> None:
        city.publish(*_happenings())
        city.settle()
        report = _report(city)
        assert [line.what for line in report.gaps] == ["copilot 2026-11-01 – 2026-11-02"]
        assert [line.what for line in report.dead_letters] == ["valvomo.usage/0/7: not JSON"]
        assert [line.what for line in report.roles] == ["granted auditor *"]
        assert [line.what for line in report.policy_changes] == ["review 3: record 12/2026"]
        assert [(line.kind, line.clocks_late, line.closed) for line in report.incidents] == [("widespread", 2, False)]
        entries = [*report.gaps, *report.dead_letters, *report.roles, *report.policy_changes]
        values = city.entries()
        assert all(
            line.what.split()[0].encode() in values[line.entry] for line in [*report.gaps, *report.policy_changes]
        )
        assert len({line.entry for line in entries}) == 4
        assert {"gaps", "dead_letters"} <= {one.reason for one in report.untested}
        assert "p-somebody" not in repr(report), "a change of a role is told without whose"

    def test_the_auditors_sample_is_drawn_by_the_first_root_after_the_quarter(self, city: Program) -> None:
        city.sign()
        assert _report(city).sample.outputs == ()
        city.clock.advance(timedelta(days=60))
        city.publish(window(90))
        city.settle()
        city.sign()
        report = _report(city)
        assert report.is_over
        sample = report.sample
        assert sample.checkpoint_size == city.size()
        names = ["a-0", "a-1", "a-2", "a-3", "b-1"]
        assert sample.population == len(names)
        assert list(sample.outputs) == order_by_seed(names, bytes.fromhex(sample.seed or ""))
        city.publish(window(91))
        city.settle()
        city.sign()
        assert _report(city).sample == sample, "a later root draws nothing anew"

    def test_metrics_of_governance(self, city: Program) -> None:
        city.publish(*_happenings())
        city.settle()

        def value(name: str, **labels: str) -> float | None:
            return city.registry.get_sample_value(name, labels)

        assert value("valvomo_use_case_review_ratio", use_case="benefits", unit="kymp") == 0.5
        assert value("valvomo_reviews_waiting", unit="kymp", risk_class="high_decision") == 2
        due = at(24)
        late = (city.clock.now() - due).total_seconds()
        assert value("valvomo_review_oldest_due_seconds", unit="hyve") == late
        assert value("valvomo_review_judging_lag_seconds") == 0
        assert value("valvomo_findings_oldest_open_seconds", kind="prohibited_use") == pytest.approx(102 * 3600)
        assert value("valvomo_incidents_open", kind="widespread") == 1
        assert value("valvomo_incident_due_timestamp_seconds", kind="widespread", whom="provider") is not None
        city.clock.advance(timedelta(days=3))
        city.publish(generated("c-1", at(102)))
        city.settle()
        city.clock.advance(timedelta(days=3, seconds=90))
        lag = value("valvomo_review_judging_lag_seconds")
        assert lag is not None
        assert lag > 60, "its time has come, and nobody has looked yet"


def _finding(program: Program, kind: str) -> str:
    with program.service.store.reading() as connection:
        return str(connection.execute(select(finding.c.finding_id).where(finding.c.kind == kind)).scalar_one())


def _report(program: Program) -> QuarterReport:
    seen: list[tuple[int, int | None]] = []
    with program.service.store.reading() as connection:
        made = read_quarter(connection, QUARTER, program.clock.now(), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (made.outputs, made.outputs)
    return made


def _happenings() -> Iterator[Any]:
    def envelope(name: str, data: Any) -> dict[str, Any]:  # noqa: ANN401  # any kind's data
        return {"id": event_id(name), "source": "test/outcomes", "subject": "s", "time": MONDAY, "data": data}

    gap = Gap(source_name="copilot", first_day=at(-360).date(), last_day=at(-336).date())
    yield CollectionGapFound(**envelope("gap", gap))
    letter = DeadLetter(
        group="g", topic="valvomo.usage", partition=0, offset=7, value_hash="0" * 64, length=1, reason="not JSON"
    )
    yield RecordDeadLettered(**envelope("letter", letter))
    change = RoleChange(
        person="p-somebody", role="auditor", change="granted", reason="new", approver="head", changed_at=MONDAY
    )
    yield RoleChanged(**envelope("role", change))
    incident = Incident(
        incident_id="i-1", kind="widespread", unit="kymp", aware_at=MONDAY, what="wrong letters", opened_by="head"
    )
    yield IncidentOpened(**envelope("incident", incident))
