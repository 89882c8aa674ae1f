"""What holds of reviews whatever happens, in whatever order: the real projections on a real database, worked by chance.

Entries are told one by one as a log would append them; what is decided is read back as entries. At the end everything
is made again from the entries, and once more with the entries of different outputs in another order.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import METADATA, case_file, finding
from services.audit_log.domain.reviews.duty import Rulebook
from services.audit_log.domain.reviews.folding import Happened, judge
from services.audit_log.handlers import fold_entries, look
from services.shared.clock import SteppedClock
from services.shared.events import Event, decode
from services.shared.events import governance as told
from services.shared.events.governance import OutputFact
from services.shared.events.outcomes import FindingOpened
from services.shared.events.register import Policy
from services.shared.store.migrate import migrate
from services.shared.store.sqlite import SqliteStore
from tests.unit.audit_log.events import (
    MONDAY,
    POLICY,
    SOURCE,
    USE_CASES,
    at,
    deleted,
    generated,
    register_events,
    reviewed,
    superseded,
    use_case,
    used,
)
from tests.unit.audit_log.obligations.telling import A, B, case_of, mandate, policy, settle

OUTPUTS = ("one", "two", "three")
"""The first two are there from the beginning, with the same content."""
HASHES = st.sampled_from([None, A, A, B])
HOURS = st.sampled_from([0.5, 1.0, 2.0, 12.0, 30.0, 60.0])
PEOPLE = st.sampled_from([*["p-reviewer"] * 4, "p-second", "p-requester", "p-chief", None])
USES = st.sampled_from(["benefits", "benefits", "chat", "drafts", None])
STEPS = st.sampled_from([False, False, True])
REQUESTERS = st.sampled_from([*["p-requester"] * 4, "p-second", None])
_examples = itertools.count()
_USED = {
    "used_unreviewed": "used_unreviewed",
    "reviewed_after_use": "used_unreviewed",
    "used_rejected": "used_rejected",
}
DIRTY = {"used_unreviewed", "used_rejected", "reviewed_after_use", "overdue", "late_reviewed", "deleted_unreviewed"}

POLICIES = (
    POLICY,
    policy(reviewers=2, training_required=True, escalation=[{"share": "0.5", "role": "chief"}]),
    policy(four_eyes="adverse", max_bulk=1, min_dwell_seconds=30, one_click=False, independence="no_reporting_line"),
    policy("limited", gate="before_use", deadline_business_hours=4),
)
REGISTERS = (
    USE_CASES,
    (use_case(risk_class="limited"), *USE_CASES[1:]),
    (use_case().model_copy(update={"suspended_from": at(1)}), *USE_CASES[1:]),
    USE_CASES[1:],
)
MANDATES = (
    (),
    (mandate("p-reviewer"), mandate("p-chief", rank=2)),
    (mandate("p-second", trained_on=MONDAY.date(), reports_to="p-chief"), mandate("p-reviewer", unit="sote")),
)


class Store:
    """One database for all examples; the ids of each are its own."""

    def __init__(self) -> None:
        self.folder = TemporaryDirectory(prefix="machine-")
        self.store = SqliteStore(Path(self.folder.name) / "log.db", METADATA, "log", synchronous="NORMAL")
        migrate(self.store, METADATA, "services.audit_log.migrations")


class Reviews(RuleBasedStateMachine):
    """A log as it lives."""

    shared: Store

    def __init__(self) -> None:
        super().__init__()
        self.prefix, self.clock = f"{next(_examples)}", SteppedClock(MONDAY)
        self.cases, self.entries = SqlCaseFiles(), list[Happened]()
        self.opened, self.version, self.number = set[str](), 0, 0
        with self.shared.store.transaction() as tx:
            self.cases.clear(tx)

    def tell(self, *events: Event) -> None:
        news = [Happened(len(self.entries) + at_once, self.clock.now(), event) for at_once, event in enumerate(events)]
        self.entries += news
        with self.shared.store.transaction() as tx:
            fold_entries(news, self.cases, tx, self.clock.now())
        self.opened |= {event.data.finding_id for event in events if isinstance(event, FindingOpened)}

    def say(self) -> None:
        """Decide, and read back what was decided, until nothing is left."""
        self.clock.advance(timedelta(milliseconds=1))
        while True:
            with self.shared.store.transaction() as tx:
                looked = look(self.cases, tx, self.clock.now())
            waiting = self.shared.store.pending(["bus"], self.clock.now(), 1_000)
            self.shared.store.mark_sent([one.sequence for one in waiting], self.clock.now())
            self.tell(*(decode(one.message.value) for one in waiting))
            if not looked and not waiting:
                return

    def name(self, output: str) -> str:
        return f"{self.prefix}-{output}"

    def next(self, kind: str) -> str:
        self.number += 1
        return f"{kind}-{self.number}"

    @initialize()
    def begin(self) -> None:
        self.publish(POLICY, USE_CASES, ())
        for output in OUTPUTS[:2]:
            self.generate(output, "benefits", A)

    @rule(found=st.sampled_from(POLICIES), cases=st.sampled_from(REGISTERS), mandates=st.sampled_from(MANDATES))
    def publish(self, found: Policy, cases: Any, mandates: Any) -> None:  # noqa: ANN401  # as the register has it
        self.version += 1
        self.tell(*register_events(self.version, (found,), cases, mandates))

    @rule(output=st.just("three"), name=USES, content=HASHES,
          requester=REQUESTERS, step=STEPS, adverse=st.sampled_from([None, True]))  # fmt: skip
    def generate(self, output: str, name: str | None, content: str | None, **members: Any) -> None:  # noqa: ANN401
        self.tell(generated(self.name(output), self.clock.now(), use_case=name, content_hash=content, **members))

    @rule(output=st.sampled_from(OUTPUTS), reviewer=PEOPLE, content=HASHES, edited=HASHES,
          decision=st.sampled_from(["approved", "rejected", "edited", "abstained"]),
          evidence=st.sampled_from([*["explicit_accept"] * 4, "thumb"]),
          decided_by=st.sampled_from([*["person"] * 5, "timer"]), place=st.sampled_from([*[None] * 5, 1, 9]),
          ago=st.sampled_from([0.0, 0.0, 0.0, 0.5, 30.0]))  # fmt: skip
    def review(self, output: str, content: str | None, ago: float, **members: Any) -> None:  # noqa: ANN401  # as it has
        edited, place = members.pop("edited"), members.pop("place")
        bulk = {"bulk_id": "b", "bulk_place": place} if place else {}
        edits = {"edited_content_hash": edited} if members["decision"] == "edited" else {}
        decided = self.clock.now() - timedelta(hours=ago)
        seen = {"content_hash_reviewed": content, "opened_at": decided - timedelta(minutes=5) if content else None}
        self.tell(reviewed(self.name(output), decided, self.next("r"), **seen, **bulk, **edits, **members))

    @rule(output=st.sampled_from(OUTPUTS), content=HASHES, reviewer=st.sampled_from(["p-reviewer", "p-chief"]),
          decision=st.sampled_from(["approved", "rejected"]))  # fmt: skip
    def review_and_use(self, output: str, content: str | None, reviewer: str, decision: str) -> None:
        self.review(output, content, ago=0.0, edited=None, place=None, reviewer=reviewer, decision=decision)
        self.clock.advance(timedelta(seconds=1))
        self.use(output, content, "sent")

    @rule(output=st.sampled_from(OUTPUTS), content=HASHES, kind=st.sampled_from(["sent", "decided", "copied"]))
    def use(self, output: str, content: str | None, kind: str) -> None:
        self.tell(used(self.name(output), self.clock.now(), self.next("u"), content_hash_used=content, kind=kind))

    @rule(output=st.sampled_from(OUTPUTS), kind=st.sampled_from(["superseded", "erasure", "vendor", "voided"]))
    def end(self, output: str, kind: str) -> None:
        name, now = self.name(output), self.clock.now()
        if kind == "superseded":
            self.tell(superseded(name, now))
        elif kind == "voided":
            data = told.Voiding(output_id=name, voided_at=now, reason="error", approver="chief")
            self.tell(told.OutputVoided(id=f"{name}.void", source=SOURCE, subject=name, time=now, data=data))
        else:
            self.tell(deleted(name, now, kind))

    @rule(output=st.sampled_from(OUTPUTS), reviewer=PEOPLE)
    def open(self, output: str, reviewer: str | None) -> None:
        name, now = self.name(output), self.clock.now()
        data = told.ReviewStart(review_id=self.next("o"), output_id=name, reviewer=reviewer, opened_at=now)
        self.tell(told.ReviewOpened(id=data.review_id, source=SOURCE, subject=name, time=now, data=data))

    @rule(old=st.sampled_from(["p-second", "p-requester", "p-chief"]), new=st.sampled_from(["p-reviewer", "p-else"]))
    def join(self, old: str, new: str) -> None:
        data = told.PseudonymJoining(old=old, new=new, joined_at=self.clock.now())
        name, now = self.next("j"), self.clock.now()
        self.tell(told.PseudonymsJoined(id=name, source=SOURCE, subject=old, time=now, data=data))

    @rule(chance=st.randoms(use_true_random=False))
    def redeliver(self, chance: random.Random) -> None:
        """What came before comes again: it changes no state, and says nothing new."""
        self.say()
        before = self.states(), set(self.opened)
        again = [entry for entry in self.entries if isinstance(entry.event.data, OutputFact)]
        if again:
            with self.shared.store.transaction() as tx:
                fold_entries([chance.choice(again)], self.cases, tx, self.clock.now())
        self.say()
        assert (self.states(), self.opened) == before

    @rule(hours=HOURS)
    def wait(self, hours: float) -> None:
        self.say()
        self.clock.advance(timedelta(hours=hours))
        self.say()

    def states(self) -> dict[str, str]:
        with self.shared.store.reading() as connection:
            rows = connection.execute(select(case_file.c.output_id, case_file.c.state))
            return {row.output_id: row.state for row in rows}

    def rows(self) -> list[tuple[Any, ...]]:
        with self.shared.store.reading() as connection:
            return [
                tuple(row)
                for table in (case_file, finding)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]

    def make_again(self, entries: Sequence[Happened]) -> None:
        with self.shared.store.transaction() as tx:
            self.cases.clear(tx)
            fold_entries(entries, self.cases, tx, self.clock.now())

    @invariant()
    def no_finding_disappears(self) -> None:
        with self.shared.store.reading() as connection:
            assert set(connection.execute(select(finding.c.finding_id)).scalars()) == self.opened

    @invariant()
    def every_output_has_one_state(self) -> None:
        outputs = {
            entry.event.data.output_id for entry in self.entries if isinstance(entry.event, told.OutputGenerated)
        }
        counts = Counter(state for name, state in self.states().items() if name in outputs)
        assert sum(counts.values()) == len(outputs)
        assert "unknown_output" not in counts

    def teardown(self) -> None:
        self.say()
        self.every_use_that_should_not_have_been_has_its_finding()
        before, states = self.rows(), self.states()
        self.make_again(self.entries)
        assert self.rows() == before, "made again from the entries, all is as it was"
        self.make_again(list(in_another_order(self.entries)))
        assert self.states() == states, "the order of different outputs does not matter"

    def every_use_that_should_not_have_been_has_its_finding(self) -> None:
        with self.shared.store.reading() as connection:
            kinds = {(row.output_id, row.kind) for row in connection.execute(select(finding))}
        for name, state in self.states().items():
            assert state not in _USED or (name, _USED[state]) in kinds
            assert state not in ("overdue", "late_reviewed") or (name, "overdue_review") in kinds


STRICTER: tuple[dict[str, Any], ...] = (
    {"gate": "before_use"}, {"deadline_business_hours": 4}, {"reviewers": 2}, {"four_eyes": "all"},
    {"training_required": True}, {"max_bulk": 0}, {"min_dwell_seconds": 600}, {"one_click": False},
    {"accepted_evidence": ()}, {"capacity": "editor"}, {"independence": "other_unit"},
)  # fmt: skip
_people = st.sampled_from(["p-reviewer", "p-second"])
_stories = st.lists(
    st.one_of(
        st.builds(
            reviewed, st.just("o-1"), st.integers(0, 40).map(at), st.uuids().map(str), reviewer=_people,
            decision=st.sampled_from(["approved", "rejected"]), content_hash_reviewed=st.sampled_from([None, A]),
            evidence=st.sampled_from(["explicit_accept", "thumb"]), bulk_id=st.sampled_from([None, "b"]),
            made_in=st.sampled_from([None, "valvomo"]), opened_at=st.sampled_from([None, MONDAY]),
        ),
        st.builds(
            used, st.just("o-1"), st.integers(0, 40).map(at), st.uuids().map(str),
            content_hash_used=st.sampled_from([None, A, B]), kind=st.sampled_from(["sent", "copied"]),
        ),
        st.sampled_from([superseded(when=at(21)), deleted(when=at(26), reason="vendor")]),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(_stories, st.sampled_from(STRICTER), st.sampled_from(["before_use", "after_use"]), st.integers(0, 60))
def test_a_stricter_rule_never_makes_a_finding_clean(
    events: list[Event], stricter: dict[str, Any], gate: str, hour: int
) -> None:
    mild = policy(gate=gate, deadline_business_hours=8)
    strict = policy(**{"gate": gate, "deadline_business_hours": 8, **stricter})
    states = []
    for found in (mild, strict):
        known = Rulebook((found,), USE_CASES)
        case, _ = settle(case_of([generated(content_hash=A), *events], known), at(hour), known)
        states.append(judge(case, at(hour)).state)
    assert states[0] not in DIRTY or states[1] in DIRTY


def in_another_order(entries: Sequence[Happened]) -> Iterator[Happened]:
    """The entries about the outputs between two registers, output by output, the last output first."""
    for about_outputs, some in itertools.groupby(entries, key=lambda entry: hasattr(entry.event.data, "output_id")):
        found = list(some)
        if about_outputs:
            found.sort(key=_output_of, reverse=True)
        yield from found


def _output_of(entry: Happened) -> str:
    return str(getattr(entry.event.data, "output_id", ""))


@pytest.fixture
def store() -> Iterator[None]:
    Reviews.shared = Store()
    try:
        yield
    finally:
        Reviews.shared.store.close()
        Reviews.shared.folder.cleanup()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("between", [(3, 1), (1, 3), (2, 3)])
def test_a_use_case_that_comes_and_goes_takes_no_duty_with_it(between: Sequence[int]) -> None:
    log = Reviews()
    log.publish(POLICY, REGISTERS[1], ())
    log.generate("three", "benefits", A, requester="p-requester", step=False)
    for number in (0, *between, 0):
        log.wait(0.5)
        log.publish(POLICY, REGISTERS[number], ())
    log.say()
    asked = [entry.event.data for entry in log.entries if isinstance(entry.event, told.ReviewRequested)]
    assert [(one.risk_class, one.because) for one in asked] == [("limited", "class"), ("high_decision", "stricter")]
    log.teardown()


@pytest.mark.usefixtures("store")
def test_a_third_name_of_the_requester_has_all_that_name_the_others_weighed_again() -> None:
    log = Reviews()
    named = mandate("p-third", reports_to="p-reviewer", use_cases=("chat",)), mandate("p-reviewer")
    log.publish(policy(independence="no_reporting_line"), REGISTERS[0], named)
    log.generate("three", "benefits", A, requester="p-requester", step=False)
    log.join("p-requester", "p-second")
    log.review("three", A, 0.0, reviewer="p-reviewer", decision="approved", edited=None, place=None)
    assert log.states()[log.name("three")] == "approved"
    log.join("p-third", "p-second")
    assert log.states()[log.name("three")] == "pending", "p-third, who is the requester, reports to the reviewer"
    log.teardown()


@pytest.mark.usefixtures("store")
def test_nothing_comes_again_before_it_was_made() -> None:
    log = Reviews()
    log.begin()
    log.redeliver(random.Random(1))
    log.generate("three", "benefits", A, requester="p-requester", step=False)
    members = {"reviewer": "p-reviewer", "decision": "rejected", "edited": None, "place": None}
    log.review("three", None, 0.5, **members)
    for _ in range(9):
        log.redeliver(random.Random(2))
    log.teardown()


@pytest.mark.usefixtures("store")
def test_whatever_happens() -> None:
    run_state_machine_as_test(
        Reviews,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes; the steps are printed
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )  # fmt: skip
