"""What people review with, on every store: a queue that neither skips nor repeats, and decisions that are made once."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.audit_log.adapters import tables
from services.audit_log.adapters.reviews.queue import Place, Wanted, count, read_page
from services.audit_log.domain.reviews.hurdles import Remit
from services.shared.events import GOVERNANCE, decode
from services.shared.events.governance import ReviewDecided, ReviewDeclined, ReviewOpened
from services.shared.store.tables import micros
from tests.contract.log_contract import OnAStore, Program
from tests.unit.audit_log.events import MONDAY, generated, register_events
from tests.unit.audit_log.people import MANDATES, STRICT, STRICT_USE_CASES, Person, Sessions, sign_in

HASH = "ab" * 32
UNITS, USE_CASES, STATES = ("kymp", "sote", "kasko"), ("", "benefits", "chat"), ("pending", "overdue", "in_review")
COLUMNS = (
    "output_id", "document", "state", "system", "unit", "use_case", "risk_class", "model", "waits", "generated_at",
    "due_at",
)  # fmt: skip

WANTED = {
    "everything": Wanted(),
    "a unit": Wanted(unit="kymp"),
    "a state": Wanted(state="overdue"),
    "a use case and a class": Wanted(use_case="chat", risk_class="limited"),
    "nothing": Wanted(system="nothing"),
    "mine by use case and unit": Wanted(mine=Remit(frozenset({"chat"}), frozenset({"sote"}))),
    "mine in a state": Wanted(state="pending", mine=Remit(frozenset({"chat"}), frozenset())),
    "mine, without a mandate": Wanted(mine=Remit(frozenset(), frozenset())),
}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing works in the background here, so that waiting for the log would be in vain."""
    monkeypatch.setattr("services.audit_log.api.deciding.PATIENCE_SECONDS", 0.0)


class ReviewingContract(OnAStore):
    """Inherited by a test class per store."""

    @pytest.fixture
    def sessions(self) -> Sessions:
        return Sessions()

    @pytest.fixture
    def reviewer(self, program: Program, sessions: Sessions) -> Person:
        program.publish(*register_events(policies=(STRICT,), use_cases=STRICT_USE_CASES, mandates=MANDATES))
        program.publish(generated(content_hash=HASH), generated("o-2", use_case="chat", content_hash=HASH))
        program.settle()
        return sign_in(program, sessions, "p-reviewer")

    # The queue

    def test_pages_hold_what_waits_each_once_in_the_order_of_its_due_time(self, program: Program) -> None:
        rows = fill(program, 300)
        with program.service.store.reading() as connection:
            for name, wanted in WANTED.items():
                found = [row for row in sorted(rows, key=in_order) if fits(row, wanted)]
                assert list(paged(connection, wanted, 7)) == [row["output_id"] for row in found], name
                late = sum(1 for row in found if row["due_at"] is not None and row["due_at"] < micros(MONDAY))
                assert count(connection, wanted, MONDAY) == (len(found), late), name

    def test_a_page_that_is_full_to_the_last_item_has_no_next(self, program: Program) -> None:
        rows = fill(program, 20)
        waiting = sum(1 for row in rows if row["waits"])
        with program.service.store.reading() as connection:
            assert read_page(connection, Wanted(), None, waiting).next is None
            assert read_page(connection, Wanted(), None, waiting - 1).next is not None

    # Deciding

    def test_a_decision_decides(self, program: Program, reviewer: Person) -> None:
        review = open_one(program, reviewer, "o-1")
        assert program.states()["o-1"] == "in_review"
        program.clock.advance(timedelta(minutes=2))
        assert decide(reviewer, "o-1", review).status_code == 202
        program.settle()
        assert program.states()["o-1"] == "approved"
        (made,) = [event for event in told(program) if isinstance(event, ReviewDecided)]
        assert (made.source, made.data.reviewer, made.data.made_in) == ("valvomo/reviews", "p-reviewer", "valvomo")
        assert (made.data.content_hash_reviewed, made.data.opened_at) == (HASH, MONDAY)
        assert (made.data.reason_code, made.data.adverse, made.data.evidence_shown) == (
            "assessed_first",
            False,
            ("text",),
        )

    def test_a_second_click_makes_nothing_new(self, program: Program, reviewer: Person) -> None:
        first, second = (later(program, reviewer.call("open", {"output_id": "o-1"})).json() for _ in range(2))
        assert (first["new"], second["new"], first["review_id"]) == (True, False, second["review_id"])
        program.settle()
        assert reviewer.call("open", {"output_id": "o-1"}).json() == {**second, "new": False}
        program.clock.advance(timedelta(minutes=2))
        answers = [later(program, decide(reviewer, "o-1", first["review_id"])).json()["new"] for _ in range(3)]
        program.settle()
        assert answers == [True, False, False]
        assert [type(event) for event in told(program)] == [ReviewOpened, ReviewDecided]
        again = decide(reviewer, "o-1", first["review_id"])
        assert (again.status_code, again.json()["code"]) == (409, "ended")

    def test_what_was_handed_back_another_may_open(
        self, program: Program, reviewer: Person, sessions: Sessions
    ) -> None:
        review = open_one(program, reviewer, "o-1")
        other = sign_in(program, sessions, "p-second")
        kept = other.call("open", {"output_id": "o-1"})
        assert (kept.status_code, kept.json()["code"], kept.json()["until"]) == (409, "leased", "2026-11-16T08:30:00Z")
        given = reviewer.call("decline", {"output_id": "o-1", "review_id": review, "reason": "no_time"})
        program.settle()
        assert (given.status_code, program.states()["o-1"]) == (202, "pending")
        assert isinstance(told(program)[-1], ReviewDeclined)
        assert other.call("open", {"output_id": "o-1"}).status_code == 202

    def test_several_are_decided_all_or_none(self, program: Program, reviewer: Person) -> None:
        more = [generated(f"s-{number}", use_case="chat", content_hash=HASH) for number in range(4)]
        program.publish(*more, generated("mine", use_case="chat", content_hash=HASH, requester="p-reviewer"))
        program.settle()
        names = [f"s-{number}" for number in range(4)]
        refused = at_once(reviewer, [*names, "mine"])
        told_why = {one["output_id"]: one.get("code") for one in refused.json()["outputs"]}
        assert (refused.status_code, refused.json()["code"]) == (409, "bulk_ineligible")
        assert told_why == {**dict.fromkeys(names), "mine": "self_review"}
        program.settle()
        assert told(program) == []
        assert at_once(reviewer, names).status_code == 202
        program.settle()
        made: list[Any] = sorted(told(program), key=lambda event: event.data.bulk_place)
        assert [(one.data.output_id, one.data.bulk_place, one.data.bulk_size) for one in made] == [
            (name, place, 4) for place, name in enumerate(names, start=1)
        ]
        assert len({one.data.bulk_id for one in made}) == 1
        assert {program.states()[name] for name in names} == {"approved"}

    def test_nothing_is_taken_while_the_log_catches_up(
        self, program: Program, reviewer: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.shared.store.horizon.RebuildHorizon._nothing_left", lambda *_: False)
        monkeypatch.setattr(program.service._horizon, "_passed", False)  # as after a restart
        answer = reviewer.call("open", {"output_id": "o-1"})
        assert (answer.status_code, answer.json()["code"]) == (409, "catching_up")


def open_one(program: Program, person: Person, output: str) -> str:
    """Open an output and let the log know; the review's name."""
    answer = person.call("open", {"output_id": output})
    assert answer.status_code == 202, answer.text
    program.settle()
    return str(answer.json()["review_id"])


def later(program: Program, answer: Any) -> Any:  # noqa: ANN401
    """A second passes, in which what was taken leaves for the bus; the log has not read it yet."""
    program.service.relay.step()
    program.clock.advance(timedelta(seconds=1))
    return answer


def decide(person: Person, output: str, review: str, **members: object) -> Any:  # noqa: ANN401
    said = {
        "decision": "approved", "reason": "assessed_first", "adverse": False, "evidence_shown": ["text"],
        "content_hash": HASH, "confirm": True,
    }  # fmt: skip
    return person.call("decide", {"output_id": output, "review_id": review, **said, **members})


def at_once(person: Person, outputs: list[str], **members: object) -> Any:  # noqa: ANN401
    said = {"decision": "approved", "reason": "checked_by_list", "evidence_shown": ["text"]}
    wanted = [{"output_id": name, "content_hash": HASH} for name in outputs]
    return person.call("bulk", {"outputs": wanted, **said, **members})


def told(program: Program) -> list[Any]:
    """What people decided here, as it stands on the bus."""
    events = [decode(record.value) for record in program.records(GOVERNANCE.name)]
    return [event for event in events if event.source == "valvomo/reviews"]


def fill(program: Program, number: int) -> list[dict[str, Any]]:
    """Cases of which most wait, many at the same moment, some without a due time."""
    some = random.Random(7)
    rows = [
        {
            "output_id": f"o-{some.randrange(10**9):09}",
            "document": "{}",
            "state": some.choice(STATES),
            "system": "s-1",
            "unit": some.choice(UNITS),
            "use_case": some.choice(USE_CASES),
            "risk_class": some.choice(("limited", "high_decision")),
            "model": "m",
            "waits": int(some.random() < 0.8),
            "generated_at": micros(MONDAY),
            "due_at": None if some.random() < 0.2 else micros(MONDAY + timedelta(hours=some.randrange(-9, 9))),
        }
        for _ in range(number)
    ]
    with program.service.store.transaction() as tx:
        tx.bulk_insert(tables.case_file, COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
        assert tx.connection.execute(select(tables.case_file.c.output_id)).all()
    return rows


def in_order(row: dict[str, Any]) -> tuple[bool, int, str]:
    return row["due_at"] is None, row["due_at"] or 0, row["output_id"]


def fits(row: dict[str, Any], wanted: Wanted) -> bool:
    exact = all(row[name] == value for name, value in wanted._asdict().items() if name != "mine" and value is not None)
    return bool(row["waits"]) and exact and (wanted.mine is None or wanted.mine.has(row["use_case"], row["unit"]))


def paged(connection: Any, wanted: Wanted, limit: int) -> Iterator[str]:  # noqa: ANN401
    after: Place | None = None
    while True:
        page = read_page(connection, wanted, after, limit)
        assert len(page.items) == limit or page.next is None
        yield from (item.output_id for item in page.items)
        after = page.next
        if after is None:
            return
