"""A folder becomes the register in force, whatever interrupts the publisher or comes in between."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.bus import Message, Record
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.errors import TransientError
from services.shared.events import REGISTER, decode
from services.shared.events.envelope import Fact
from services.shared.events.register import RegisterPublished, System
from services.usage_collector.register.facts import FactKey, Facts, digest_of, key_of_change
from services.usage_collector.register.publish import PublicationConflictError, publish
from services.usage_collector.register.versions import PARTITION, changes, read_held

CLOCK = SteppedClock(datetime(2026, 11, 22, 8, tzinfo=UTC))
LETTERS = "abcd"


def facts_of(**names: str) -> Facts:
    return {("system", one): System(id=one, vendor="v", name=name, owner="ict") for one, name in names.items()}


class BrokenOffError(Exception):
    """The publisher died here."""


class Tripwire(MemoryBus):
    """A bus that dies after some messages, or lets somebody in before or after a call of `publish`."""

    def __init__(self) -> None:
        super().__init__(CLOCK)
        self.left: int | None = None
        self.before: list[Callable[[], object]] = []

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        if self.before:
            self.before.pop(0)()
        if self.left is not None and len(messages) > self.left:
            super().publish(messages[: self.left])
            self.left = 0
            raise BrokenOffError
        if self.left is not None:
            self.left -= len(messages)
        return super().publish(messages)


def events_on(bus: MemoryBus) -> list[Any]:
    return [decode(record.value) for record in bus.read(PARTITION, 0, 100_000)]


def as_a_reader_has_it(bus: MemoryBus, *, only_of_the_version: bool) -> Facts:
    """Two readers that do not share the publisher's code: one asks of which version a fact is, one does not."""
    version, facts = 0, dict[FactKey, Fact]()
    waiting: dict[FactKey, tuple[int, Fact | None]] = {}
    for event in events_on(bus):
        if not isinstance(event, RegisterPublished):
            waiting[key_of_change(event)] = (event.data.version, event.data.fact)
            continue
        if event.data.version > version:
            version = event.data.version
            said = {key: fact for key, (of, fact) in waiting.items() if of == version or not only_of_the_version}
            facts = {key: fact for key, fact in (facts | said).items() if fact is not None}
        waiting = {}
    return facts


def everybody_has(bus: MemoryBus, wanted: Facts) -> bool:
    readers = [as_a_reader_has_it(bus, only_of_the_version=which) for which in (True, False)]
    return read_held(bus).facts == wanted and all(facts == wanted for facts in readers)


def test_first_version_says_everything_and_then_its_marker() -> None:
    bus = MemoryBus(CLOCK)
    wanted = facts_of(a="A", b="B")
    done = publish(wanted, bus, CLOCK)
    said = events_on(bus)
    assert (done.version, done.changes, done.digest) == (1, 2, digest_of(wanted))
    assert [event.type for event in said] == ["valvomo.system.defined.v1"] * 2 + ["valvomo.register.published.v1"]
    assert (said[-1].data.version, said[-1].data.changes, said[-1].data.digest) == (1, 2, digest_of(wanted))
    assert {event.source for event in said} == {"valvomo/register"}


def test_nothing_changed_makes_no_version() -> None:
    bus = MemoryBus(CLOCK)
    publish(facts_of(a="A"), bus, CLOCK)
    assert publish(facts_of(a="A"), bus, CLOCK) == publish(facts_of(a="A"), bus, CLOCK)
    assert len(events_on(bus)) == 2


def test_only_changes_are_said_and_what_is_gone_is_null() -> None:
    bus = MemoryBus(CLOCK)
    publish(facts_of(a="A", b="B", c="C"), bus, CLOCK)
    assert publish(facts_of(a="A", b="B2"), bus, CLOCK).changes == 2
    changed, gone, marker = events_on(bus)[4:]
    assert (changed.data.fact_id, changed.data.fact.name, changed.data.version) == ("b", "B2", 2)
    assert (gone.data.fact_id, gone.data.fact, marker.data.version) == ("c", None, 2)


def test_the_same_change_has_the_same_id_and_another_has_another() -> None:
    def ids(facts: Facts) -> list[str]:
        bus = MemoryBus(CLOCK)
        publish(facts, bus, CLOCK)
        return [event.id for event in events_on(bus)]

    assert ids(facts_of(a="A")) == ids(facts_of(a="A"))
    assert set(ids(facts_of(a="A"))).isdisjoint(ids(facts_of(a="A2")))


def test_digest_does_not_depend_on_order() -> None:
    one = facts_of(a="A", b="B")
    assert digest_of(dict(reversed(list(one.items())))) == digest_of(one) != digest_of(facts_of(a="A", b="C"))


@pytest.mark.parametrize("after", range(5), ids=lambda after: f"after {after} messages")
def test_interrupted_publication_does_not_count_and_can_be_repeated(after: int) -> None:
    bus = Tripwire()
    publish(facts_of(a="A", b="B"), bus, CLOCK)
    bus.left = after
    with pytest.raises(BrokenOffError):
        publish(facts_of(a="A2", b="B2", c="C", d="D"), bus, CLOCK)
    assert everybody_has(bus, facts_of(a="A", b="B"))
    bus.left = None
    publish(facts_of(a="A2", b="B3"), bus, CLOCK)
    assert everybody_has(bus, facts_of(a="A2", b="B3"))


def test_facts_left_behind_do_not_come_true_later() -> None:
    bus = Tripwire()
    publish(facts_of(a="A"), bus, CLOCK)
    bus.left = 2
    with pytest.raises(BrokenOffError):
        publish(facts_of(a="A", x="never wanted", y="neither"), bus, CLOCK)
    bus.left = None
    publish(facts_of(a="A2"), bus, CLOCK)
    assert everybody_has(bus, facts_of(a="A2"))


def test_repeating_after_an_interruption_gives_no_two_events_one_name() -> None:
    bus, clock = Tripwire(), SteppedClock(CLOCK.now())
    bus.left = 2
    with pytest.raises(BrokenOffError):
        publish(facts_of(a="A", b="B", c="C"), bus, clock)
    bus.left = None
    clock.advance(timedelta(minutes=5))
    publish(facts_of(a="A", b="B", c="C"), bus, clock)
    names = [event.id for event in events_on(bus)]
    assert len(set(names)) == len(names)


def test_a_version_that_does_not_count_is_answered_even_when_nothing_else_changed() -> None:
    bus = MemoryBus(CLOCK)
    publish(facts_of(a="A"), bus, CLOCK)
    stray = Tripwire()
    publish(facts_of(a="stray"), stray, CLOCK)
    bus.publish([as_message(record) for record in stray.read(PARTITION, 0, 1_000)])
    assert publish(facts_of(a="A"), bus, CLOCK).version == 2
    assert everybody_has(bus, facts_of(a="A"))


def test_publisher_gives_way_to_one_that_began_in_the_same_moment() -> None:
    bus = Tripwire()
    bus.before = [lambda: publish_only_facts(bus, facts_of(a="first"))]
    with pytest.raises(PublicationConflictError, match="nothing of this one counts"):
        publish(facts_of(c="mine"), bus, CLOCK)
    assert read_held(bus).version == 0
    publish(facts_of(c="mine"), bus, CLOCK)
    assert everybody_has(bus, facts_of(c="mine"))


def publish_only_facts(bus: Tripwire, facts: Facts) -> None:
    other = Tripwire()
    publish(facts, other, CLOCK)
    MemoryBus.publish(bus, [as_message(record) for record in other.read(PARTITION, 0, 1_000)[:-1]])


def as_message(record: Record) -> Message:
    return Message(REGISTER.name, record.key, record.value)


def test_facts_that_slip_in_before_the_marker_are_corrected() -> None:
    bus = Tripwire()
    bus.before = [lambda: None, lambda: publish_only_facts(bus, facts_of(a="slipped in", x="too"))]
    done = publish(facts_of(a="A"), bus, CLOCK)
    assert done.version == 2
    assert everybody_has(bus, facts_of(a="A"))


def test_whole_publication_that_slips_in_before_the_marker_is_corrected() -> None:
    bus = Tripwire()
    publish(facts_of(a="A"), bus, CLOCK)
    other = Tripwire()
    publish(facts_of(a="A"), other, CLOCK)
    publish(facts_of(a="other", z="Z"), other, CLOCK)
    whole = [as_message(record) for record in other.read(PARTITION, 2, 1_000)]
    bus.before = [lambda: None, lambda: MemoryBus.publish(bus, whole)]
    done = publish(facts_of(a="mine"), bus, CLOCK)
    assert done.version == 3
    assert everybody_has(bus, facts_of(a="mine"))


def test_somebody_who_never_stops_publishing_is_told_not_outwaited() -> None:
    bus = Tripwire()
    other = iter(range(1_000))

    def disturb() -> None:
        publish_only_facts(bus, facts_of(a=f"again {next(other)}"))

    bus.before = [lambda: None, disturb] * 10
    with pytest.raises(TransientError, match="publish again when it is done"):
        publish(facts_of(a="A"), bus, CLOCK)


SETS = st.dictionaries(st.sampled_from(LETTERS), st.sampled_from(["one", "two"]))


@given(st.lists(st.tuples(SETS, st.none() | st.integers(0, 5)), max_size=6), SETS)
def test_after_any_interruptions_the_last_folder_holds(
    steps: list[tuple[dict[str, str], int | None]], last: dict[str, str]
) -> None:
    bus = Tripwire()
    for names, left in steps:
        bus.left = left
        try:
            publish(facts_of(**names), bus, CLOCK)
        except BrokenOffError:
            continue
        assert everybody_has(bus, facts_of(**names))
    bus.left = None
    publish(facts_of(**last), bus, CLOCK)
    assert everybody_has(bus, facts_of(**last))


@given(SETS, SETS)
def test_changes_lead_from_one_to_the_other(held: dict[str, str], wanted: dict[str, str]) -> None:
    differing = changes(facts_of(**held), facts_of(**wanted))
    result = {key: fact for key, fact in (dict(facts_of(**held)) | dict(differing)).items() if fact is not None}
    assert result == facts_of(**wanted)
    assert all(facts_of(**held).get(key) != fact for key, fact in differing.items())
