"""Samples on every store: fixed, drawn, made up to the least number, told, and checked."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import delete, insert, select, update

from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.comparing import compare
from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.reviews.sample_check import Checked, Difference, check_period
from services.audit_log.adapters.reviews.sampler import Sampler
from services.audit_log.adapters.reviews.sampling import NotedPeriod, Salts, noted_periods
from services.audit_log.adapters.tables import case_file, decision, pruning, sample_draw, sample_period
from services.audit_log.domain.reviews.sampling import commitment_of, is_drawn, order_by_seed
from services.audit_log.handlers import rebuild
from services.shared.errors import ConfigurationError
from services.shared.events import GOVERNANCE, OUTCOMES, Event, decode
from services.shared.events.governance import ReviewRequested, SampleCommitted, SampleDrawn, SampleRevealed
from services.shared.events.outcomes import FindingOpened
from services.shared.events.register import Policy, ReviewRule, UseCase
from services.shared.keys import write_key
from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.note import parse_note
from tests.contract.log_contract import OnAStore, Program
from tests.contract.unguarded import unguarded_store
from tests.unit.audit_log.events import MONDAY, at, generated, register_events, use_case

_E = TypeVar("_E", bound=Event)

AFTER = datetime(2026, 12, 2, 12, tzinfo=UTC)
"""November is over, and the day for late news."""
OUTPUTS = 40


def rule(**members: object) -> ReviewRule:
    fields = {"risk_class": "limited", "gate": "after_use", "deadline_business_hours": 40, "sample_rate": "0.2",
              "sample_period": "month"}  # fmt: skip
    return ReviewRule.model_validate({**fields, **members})


class SamplingContract(OnAStore):
    """Inherited by a test class per store."""

    @pytest.fixture(autouse=True)
    def same_key(self, tmp_path: Path) -> None:
        """So that every run draws the same outputs."""
        write_same_key(tmp_path / "var" / "keys")

    def test_what_is_drawn_is_demanded_and_all_else_is_exempt(self, program: Program) -> None:
        tell(program, rule())
        demanded = {event.data.output_id for event in told(program, ReviewRequested)}
        assert 0 < len(demanded) < OUTPUTS
        assert {name for name, state in program.states().items() if state == "pending"} == demanded
        assert {state for name, state in program.states().items() if name not in demanded} == {"exempt"}

    def test_the_salt_is_fixed_before_and_told_after_once(self, program: Program) -> None:
        tell(program, rule())
        step(program)
        step(program)
        assert [event.data.period for event in told(program, SampleCommitted)] == ["2026-11", "2026-12"]
        assert told(program, SampleRevealed) == []
        close(program)
        step(program)
        (revealed,) = told(program, SampleRevealed)
        salt = bytes.fromhex(revealed.data.salt)
        assert commitment_of(salt) == told(program, SampleCommitted)[0].data.commitment
        demanded = {event.data.output_id for event in told(program, ReviewRequested)}
        assert demanded == {name for name in names() if is_drawn(salt, name, rule().sample_rate)}
        assert salt.hex() not in str(program.records(OUTCOMES.name))

    def test_e24_what_lacks_is_drawn_by_the_logs_root(self, program: Program) -> None:
        tell(program, rule(sample_least=25))
        by_hash = {event.data.output_id for event in told(program, ReviewRequested)}
        close(program)
        (drawn,) = told(program, SampleDrawn)
        signed = newest_signed(program)
        assert (drawn.data.seed, drawn.data.checkpoint_size) == (signed.root.hex(), signed.size)
        left = order_by_seed(names() - by_hash, signed.root)
        assert list(drawn.data.output_ids) == left[: 25 - len(by_hash)]
        assert (drawn.data.population, drawn.data.drawn_by_hash) == (OUTPUTS, len(by_hash))
        assert {program.states()[name] for name in by_hash} == {"overdue"}
        assert {program.states()[name] for name in drawn.data.output_ids} == {"pending"}, "their time began just now"
        assert verified(program).differences == []
        forget_decisions(program)
        with program.service.store.transaction() as tx:
            tx.connection.execute(update(sample_period).values(salt=None))
        step(program)
        assert len(told(program, SampleDrawn)) == 1, "once, also where its entry came and the salt's was lost"

    def test_everything_is_made_again_from_the_entries_and_decided_once(self, program: Program) -> None:
        tell(program, rule(sample_least=25, second_rate="0.3"))
        close(program)
        before = (program.size(), derived(program), program.states())
        with program.service.store.transaction() as tx:
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, program.clock.now())
        forget_decisions(program)
        step(program)
        assert (program.size(), derived(program), program.states()) == before
        with program.service.store.transaction() as tx:
            tx.connection.execute(update(sample_period).values(commitment="0" * 64))
        with program.service.store.reading() as connection:
            edited = {one.table for one in compare(connection, program.clock.now())}
        assert edited == {"sample_period"}, "an edit beside the log is found"

    def test_a_lost_key_draws_nothing_by_hash_and_the_least_number_all_the_same(self, program: Program) -> None:
        step_after_register(program, rule(sample_least=10))
        (program.settings.data_dir / "keys" / "sampling").write_bytes(b"7" * 64)
        program.restart()
        program.publish(*outputs())
        program.settle()
        assert told(program, ReviewRequested) == []
        close(program)
        step(program)
        (drawn,) = told(program, SampleDrawn)
        assert (len(drawn.data.output_ids), drawn.data.drawn_by_hash) == (10, 0)
        forget_decisions(program)
        step(program)
        assert len(told(program, SampleDrawn)) == 1, "also where only the log remembers it"
        assert told(program, SampleRevealed) == [], "a salt that does not fit would say nothing"


class SamplingDetails(SamplingContract):
    """What does not depend on the store; inherited by one test class."""

    def test_no_salt_is_told_before_a_checkpoint_covers_the_period(self, program: Program) -> None:
        tell(program, rule())
        program.sign()
        program.clock.advance(AFTER - MONDAY)
        step(program)
        assert told(program, SampleRevealed) == [], "the newest checkpoint was signed before"
        program.sign()
        step(program)
        assert len(told(program, SampleRevealed)) == 1

    def test_e23_outputs_that_come_late_are_drawn_alike(self, program: Program) -> None:
        tell(program, rule())
        close(program)
        program.publish(*(generated(f"late-{number}", at(number), use_case="chat") for number in range(OUTPUTS)))
        program.settle()
        (noted, *_) = noted_of(program)
        late = {f"late-{number}" for number in range(OUTPUTS)}
        demanded = {event.data.output_id for event in told(program, ReviewRequested)} & late
        assert noted.salt is not None
        assert demanded == {name for name in late if is_drawn(noted.salt, name, rule().sample_rate)}
        assert verified(program).differences == []

    def test_what_comes_after_the_checkpoint_takes_no_part(self, program: Program) -> None:
        """Else who makes outputs could choose what else is drawn, once the seed is known."""
        tell(program, rule(sample_least=25))
        program.clock.advance(AFTER - MONDAY)
        program.sign()
        program.publish(*(generated(f"late-{number}", at(1), use_case="chat") for number in range(5)))
        program.settle()
        step(program)
        (drawn,) = told(program, SampleDrawn)
        assert drawn.data.population == OUTPUTS
        assert verified(program).differences == []

    def test_a_draw_that_was_forgotten_is_made_up_for(self, program: Program) -> None:
        program.publish(*register(rule()), *outputs())
        while not program.service.consumer.status().caught_up:
            program.service.consumer.step()
        with program.service.store.transaction() as tx:
            tx.connection.execute(update(case_file).values(next_look=None))
        assert told(program, ReviewRequested) == []
        close(program)
        close(program)
        assert told(program, ReviewRequested) != []
        assert verified(program).differences == []

    def test_outputs_of_another_kind_of_period_are_others(self, program: Program) -> None:
        quarterly = rule(risk_class="high_support", gate="before_use", sample_period="quarter", sample_least=9)
        drafts = use_case("drafts", "high_support")
        program.publish(*register(rule(sample_least=25), quarterly, drafts), *outputs())
        program.publish(*(generated(f"d-{number}", at(1), use_case="drafts") for number in range(20)))
        program.settle()
        close(program)
        assert verified(program).outputs == OUTPUTS
        assert {event.data.risk_class for event in told(program, SampleDrawn)} == {"limited"}, "the quarter runs"
        assert [noted.period.name for noted in noted_of(program)] == [
            "2026-Q4",
            "2026-11",
            "2026-12",
            "2027-01",
            "2027-Q1",
        ]

    def test_nothing_is_said_before_the_bus_was_read(self, program: Program) -> None:
        """What an earlier life of the log said stands there."""
        tell(program, rule())
        service = program.service
        sampler = Sampler(service.store, Salts(b"k" * 32), program.clock, lambda _connection: False)
        sampler.step()
        program.settle()
        assert [event.data.period for event in told(program, SampleCommitted)] == ["2026-11"], "for the draws alone"

    @pytest.mark.parametrize(
        ("member", "what"),
        [
            pytest.param({"seed": "0" * 64}, "seed", id="another seed"),
            pytest.param({"output_ids": ["o-1", "o-2"]}, "top_up", id="other outputs"),
        ],
    )
    def test_a_top_up_that_is_not_its_seeds_is_named(
        self, program: Program, member: dict[str, object], what: str
    ) -> None:
        tell(program, rule(sample_least=25))
        close(program)
        with program.service.store.transaction() as tx:
            (document,) = tx.connection.execute(select(sample_draw.c.document)).scalars()
            edited = json.dumps({**json.loads(document), **member})
            tx.connection.execute(update(sample_draw).values(document=edited))
        assert verified(program).differences == [Difference(what, "now-assist limited")]  # type: ignore[arg-type]

    def test_of_pruned_entries_nobody_can_say(self, program: Program) -> None:
        tell(program, rule())
        close(program)
        row = {"before": program.size(), "pruned_at": AFTER, "export_size": program.size(), "export_root": "0" * 64}
        with unguarded_store(program.service.store), program.service.store.transaction() as tx:
            tx.connection.execute(insert(pruning).values(row))
        with pytest.raises(ConfigurationError, match="pruned"):
            verified(program)

    def test_too_few_outputs_are_a_finding_about_the_period(self, program: Program) -> None:
        tell(program, rule(sample_least=59))
        close(program)
        (short,) = [event for event in told(program, FindingOpened) if event.data.kind == "sample_short"]
        assert (short.data.about, short.data.system, short.data.output_id) == ("2026-11 40/59", "now-assist", None)
        assert "exempt" not in program.states().values(), "all of them are reviewed"

    def test_what_differs_is_named(self, program: Program) -> None:
        tell(program, rule())
        close(program)
        (exempt, *_) = (name for name, state in program.states().items() if state == "exempt")
        real = told(program, ReviewRequested)[0]
        forged = {"data": real.data.model_copy(update={"output_id": exempt}), "id": "forged", "subject": exempt}
        program.publish(real.model_copy(update=forged))
        program.settle()
        assert verified(program).differences == [Difference("not_drawn", exempt)]

    def test_a_draw_that_the_log_does_not_demand_is_named(self, program: Program) -> None:
        tell(program, rule())
        close(program)
        salt = noted_of(program)[0].salt
        assert salt is not None
        drawn = next(name for n in range(100) if is_drawn(salt, name := f"x-{n}", rule().sample_rate))
        program.publish(generated(drawn, use_case="chat"))
        while not program.service.consumer.status().caught_up:
            program.service.consumer.step()
        assert verified(program).differences == [Difference("not_demanded", drawn)], "nobody has looked at it yet"
        program.settle()
        assert verified(program).differences == []


def write_same_key(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    write_key(folder / "sampling", bytes(range(32)))


def names() -> set[str]:
    return {f"o-{number}" for number in range(OUTPUTS)}


def outputs() -> list[Event]:
    return [generated(f"o-{number}", at(number / 10), use_case="chat") for number in range(OUTPUTS)]


def register(*facts: ReviewRule | UseCase) -> list[Event]:
    rules = tuple(one for one in facts if isinstance(one, ReviewRule))
    others = tuple(one for one in facts if isinstance(one, UseCase))
    policy = Policy(id="review", version=1, approved_by="record 1", valid_from=date(2026, 1, 1), rules=rules)
    return register_events(policies=(policy,), use_cases=(use_case("chat", "limited"), *others))


def tell(program: Program, of: ReviewRule) -> None:
    """The register and the outputs of November, all read, drawn and read back."""
    program.publish(*register(of), *outputs())
    program.settle()


def step_after_register(program: Program, of: ReviewRule) -> None:
    program.publish(*register(of))
    program.settle()
    step(program)


def step(program: Program) -> None:
    program.service.sampler.step()
    program.settle()


def close(program: Program) -> None:
    """The time after November, with a checkpoint."""
    step(program)
    program.clock.advance(AFTER - program.clock.now())
    program.sign()
    step(program)


def told(program: Program, kind: type[_E]) -> list[_E]:
    """What is on the bus of a kind, in the order of when it was said and what it is about."""
    events = [decode(record.value) for record in program.records(GOVERNANCE.name, OUTCOMES.name)]
    return sorted((event for event in events if isinstance(event, kind)), key=lambda event: (event.time, event.subject))


def forget_decisions(program: Program) -> None:
    """As on an empty database that has read everything again, later."""
    program.clock.advance(timedelta(minutes=1))
    with unguarded_store(program.service.store), program.service.store.transaction() as tx:
        tx.connection.execute(delete(decision))


def noted_of(program: Program) -> list[NotedPeriod]:
    with program.service.store.reading() as connection:
        return noted_periods(connection)


def verified(program: Program) -> Checked:
    with program.service.store.reading() as connection:
        noted = next(one for one in noted_periods(connection) if one.period.name == "2026-11")
        assert noted.salt is not None
        return check_period(connection, noted, noted.salt)


def newest_signed(program: Program) -> Checkpoint:
    with program.service.store.reading() as connection:
        newest = newest_checkpoint(connection)
    assert newest is not None
    return parse_checkpoint(parse_note(newest[0]).text)


def derived(program: Program) -> list[object]:
    with program.service.store.reading() as connection:
        tables = (sample_period, sample_draw)
        return [[tuple(row) for row in connection.execute(select(table))] for table in tables]
