"""Prices and budgets count once a second person has approved them: whole, on top of what holds, and never by half."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.bus import Message, Record
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.events import REGISTER, decode, encode, key_of
from services.shared.events.plans import Budget
from services.shared.events.prices import Tariff
from services.shared.events.register import Closing, FxRates, PeriodClosed, RegisterPublished, System, Unit
from services.usage_collector.register.approval import (
    ProposalRefusedError,
    approve,
    at_once,
    propose,
    publish_at_once,
    refuse,
)
from services.usage_collector.register.facts import Facts, Signed
from services.usage_collector.register.proposals import proposal_events
from services.usage_collector.register.publish import PublicationConflictError, message_of, publish
from services.usage_collector.register.versions import PARTITION, read_held

CLOCK = SteppedClock(datetime(2026, 11, 22, 8, tzinfo=UTC))
FROM = date(2026, 1, 1)


def system(name: str = "api", owner: str = "ict") -> Facts:
    return {("system", name): System(id=name, vendor="v", name=name, owner=owner)}


def tariff(price: str, name: str = "t", currency: str = "EUR", sku: str = "m") -> Facts:
    fact = Tariff(
        id=name,
        system="api",
        sku=sku,
        meter="requests",
        model="per_unit",
        price=Decimal(price),
        per=Decimal(1),
        currency=currency,
        valid_from=FROM,
        source="list",
        checked_on=FROM,
    )
    return {("tariff", name): fact}


def unit(name: str, parent: str | None = None) -> Facts:
    return {("unit", f"{name}@{FROM}"): Unit(id=name, parent=parent, name={"en": name}, valid_from=FROM)}


def budget(amount: str) -> Facts:
    fact = Budget(
        id="b",
        unit="kymp",
        period=2026,
        amount=Decimal(amount),
        currency="EUR",
        thresholds=(Decimal("0.8"),),
        recipients=("f",),
    )
    return {("budget", "b"): fact}


def rates(**units: str) -> Facts:
    return {
        ("fx", str(FROM)): FxRates(day=FROM, rates={name: Decimal(rate) for name, rate in units.items()}, source="s")
    }


UNITS = {**unit("city"), **unit("kymp", "city")}
BASE: Facts = {**system(), **UNITS, **tariff("1"), **budget("100")}


def raised(price: str = "2") -> Facts:
    return {**BASE, **tariff(price)}


class BrokenOffError(Exception):
    """The publisher died here."""


class Tripwire(MemoryBus):
    """A bus that dies after some calls of `publish`, or lets somebody in before each."""

    def __init__(self) -> None:
        super().__init__(CLOCK)
        self.calls_left: int | None = None
        self.before: list[Callable[[], object]] = []

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        if self.before:
            self.before.pop(0)()
        if self.calls_left == 0:
            raise BrokenOffError
        if self.calls_left is not None:
            self.calls_left -= 1
        return super().publish(messages)


@pytest.fixture
def bus() -> Tripwire:
    made = Tripwire()
    publish(BASE, made, CLOCK)
    return made


def events_on(bus: MemoryBus) -> list[Any]:
    return [decode(record.value) for record in bus.read(PARTITION, 0, 100_000)]


def markers(bus: MemoryBus) -> list[Any]:
    return [event.data for event in events_on(bus) if isinstance(event, RegisterPublished)]


def proposed(bus: MemoryBus, wanted: Facts, author: str = "anna-1") -> str:
    made = propose(wanted, bus, CLOCK, author, "price rise")
    assert made is not None
    return made.fact.proposal


def refused(bus: MemoryBus, name: str) -> str:
    refuse(name, "boss-2", bus, CLOCK)
    return name


def state(bus: MemoryBus) -> Facts:
    return read_held(bus).facts


def test_a_proposal_counts_for_nothing_until_it_is_approved(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    assert state(bus) == BASE
    assert list(read_held(bus).proposals.open) == [name]
    done = approve(name, "boss-2", bus, CLOCK)
    assert (done.version, done.changes, state(bus)) == (2, 1, raised())
    assert not read_held(bus).proposals.open


def test_the_marker_names_author_approver_reason_and_proposal(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    approve(name, "boss-2", bus, CLOCK)
    marker = markers(bus)[-1]
    assert (marker.author, marker.approver, marker.reason, marker.proposal) == ("anna-1", "boss-2", "price rise", name)
    decided = events_on(bus)[-1].data
    assert (decided.proposal, decided.approver, decided.approved, decided.version) == (name, "boss-2", True, 2)


def test_without_approval_author_and_reason_stand_in_the_marker() -> None:
    bus = MemoryBus(CLOCK)
    publish(BASE, bus, CLOCK, Signed(author="anna-1", reason="first"))
    assert (markers(bus)[0].author, markers(bus)[0].reason, markers(bus)[0].approver) == ("anna-1", "first", None)


def test_other_kinds_are_published_at_once_and_the_rest_waits(bus: Tripwire) -> None:
    wanted = {**raised(), **system("api", owner="finance"), **system("new")}
    assert publish_at_once(wanted, bus, CLOCK).changes == 2
    assert state(bus) == {**BASE, **system("api", owner="finance"), **system("new")}
    approve(proposed(bus, wanted), "boss-2", bus, CLOCK)
    assert state(bus) == wanted


def test_the_same_again_is_the_same_proposal_and_says_nothing(bus: Tripwire) -> None:
    first = proposed(bus, raised())
    count = len(events_on(bus))
    assert proposed(bus, raised(), author="other") == first
    assert len(events_on(bus)) == count
    assert proposed(bus, raised("3")) != first


def test_nothing_to_approve_is_no_proposal(bus: Tripwire) -> None:
    assert propose({**BASE, **system("new")}, bus, CLOCK, "anna-1", None) is None


def test_a_fact_that_goes_needs_approval_too(bus: Tripwire) -> None:
    wanted = {key: fact for key, fact in BASE.items() if key[0] != "budget"}
    assert publish_at_once(wanted, bus, CLOCK).changes == 0
    approve(proposed(bus, wanted), "boss-2", bus, CLOCK)
    assert state(bus) == wanted


def test_a_refused_proposal_can_be_made_again(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    refuse(name, "boss-2", bus, CLOCK)
    assert (state(bus), len(read_held(bus).proposals.open)) == (BASE, 0)
    again = proposed(bus, raised())
    assert again != name
    approve(again, "boss-2", bus, CLOCK)
    assert state(bus) == raised()


@pytest.mark.parametrize(
    ("decide", "sentence"),
    [
        pytest.param(
            lambda bus, name: approve(name, "anna-1", bus, CLOCK),
            "found anna-1 as author and approver of .*; expected a second person",
            id="the author approves",
        ),
        pytest.param(
            lambda bus, name: approve(name, "ANNA-1", bus, CLOCK),
            "found ANNA-1 as author and approver of .*; expected a second person",
            id="the author approves in capitals",
        ),
        pytest.param(
            lambda bus, name: refuse(name, "anna-1", bus, CLOCK), "expected a second person", id="the author refuses"
        ),
        pytest.param(
            lambda bus, name: approve("nothing", "boss-2", bus, CLOCK),
            "found no proposal 'nothing'; expected one that is open, as [0-9a-f]{12}; see",
            id="a proposal that is not there",
        ),
        pytest.param(
            lambda bus, name: (refused(bus, name), approve(name, "boss-3", bus, CLOCK)),
            "refused by boss-2; expected an open one; publish the folder again",
            id="a refused one",
        ),
        pytest.param(
            lambda bus, name: [approve(name, "boss-2", bus, CLOCK), approve(name, "boss-3", bus, CLOCK)],
            "approved as version 2 by boss-2; expected an open one",
            id="an approved one",
        ),
        pytest.param(
            lambda bus, name: [approve(name, "boss-2", bus, CLOCK), approve(name, "boss-2", bus, CLOCK)],
            "approved as version 2 by boss-2; expected an open one",
            id="twice by one person",
        ),
        pytest.param(
            lambda bus, name: [publish(raised("9"), bus, CLOCK), approve(name, "boss-2", bus, CLOCK)],
            "found tariff t changed since .* was proposed; expected it as it was then; refuse",
            id="one older than what it changes",
        ),
    ],
)
def test_what_cannot_be_decided_is_told_and_changes_nothing(
    bus: Tripwire, decide: Callable[[Tripwire, str], object], sentence: str
) -> None:
    name = proposed(bus, raised())
    with pytest.raises(ProposalRefusedError, match=sentence):
        decide(bus, name)
    held = read_held(bus)
    assert not held.doubtful
    assert held.version == len(markers(bus))


def test_two_proposals_that_together_break_a_rule(bus: Tripwire) -> None:
    one = proposed(bus, {**BASE, **tariff("5", name="u", sku="n")})
    other = proposed(bus, {**BASE, **tariff("7", name="v", sku="n")}, author="berit-2")
    approve(one, "boss-2", bus, CLOCK)
    with pytest.raises(ProposalRefusedError, match="tariff v: found a second price for the same"):
        approve(other, "boss-2", bus, CLOCK)
    assert state(bus) == {**BASE, **tariff("5", name="u", sku="n")}


def test_of_two_proposals_for_one_fact_the_second_is_outdated_by_the_first(bus: Tripwire) -> None:
    one, other = proposed(bus, raised("2")), proposed(bus, raised("3"), author="berit-2")
    approve(other, "boss-2", bus, CLOCK)
    with pytest.raises(ProposalRefusedError, match="found tariff t changed since"):
        approve(one, "boss-2", bus, CLOCK)
    assert state(bus) == raised("3")


@pytest.mark.parametrize("calls", range(2), ids=["before anything", "between the changes and the whole"])
def test_an_interrupted_proposal_is_none(bus: Tripwire, calls: int) -> None:
    bus.calls_left = calls
    with pytest.raises(BrokenOffError):
        proposed(bus, raised())
    assert not read_held(bus).proposals.open
    bus.calls_left = None
    approve(proposed(bus, raised()), "boss-2", bus, CLOCK)
    assert state(bus) == raised()


@pytest.mark.parametrize("calls", range(3), ids=["before the facts", "before the marker", "before it is told"])
def test_an_interrupted_approval_is_finished_by_running_it_again(bus: Tripwire, calls: int) -> None:
    name = proposed(bus, raised())
    bus.calls_left = calls
    with pytest.raises(BrokenOffError):
        approve(name, "boss-2", bus, CLOCK)
    assert state(bus) == (raised() if calls == 2 else BASE)
    bus.calls_left = None
    approve(name, "boss-2", bus, CLOCK)
    assert state(bus) == raised()
    assert events_on(bus)[-1].type == "valvomo.proposal.decided.v1"


def test_a_marker_that_counts_decides_even_when_nobody_told(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    bus.calls_left = 2
    with pytest.raises(BrokenOffError):
        approve(name, "boss-2", bus, CLOCK)
    bus.calls_left = None
    with pytest.raises(ProposalRefusedError, match="approved as version 2 by boss-2"):
        approve(name, "boss-3", bus, CLOCK)


def test_an_approval_gives_way_to_a_publication_that_began_in_the_same_moment(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    bus.before = [lambda: bring(bus, {**BASE, **system("new")}, whole=False)]
    with pytest.raises(PublicationConflictError, match="nothing of this one counts"):
        approve(name, "boss-2", bus, CLOCK)
    assert (state(bus), list(read_held(bus).proposals.open)) == (BASE, [name])


def bring(bus: Tripwire, wanted: Facts, *, whole: bool) -> None:
    """What another publisher puts on the bus, who has read it up to here: with or without its marker."""
    other = MemoryBus(CLOCK)
    before = bus.read(PARTITION, 0, 1_000)
    other.ensure_topics((REGISTER,))
    other.publish([Message(REGISTER.name, record.key, record.value) for record in before])
    publish(wanted, other, CLOCK)
    new = other.read(PARTITION, len(before), 1_000)
    MemoryBus.publish(bus, [Message(REGISTER.name, r.key, r.value) for r in (new if whole else new[:-1])])


def test_a_publication_that_slips_in_before_the_marker_is_kept_and_built_on(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    bus.before = [lambda: None, lambda: bring(bus, {**BASE, **system("new")}, whole=True)]
    done = approve(name, "boss-2", bus, CLOCK)
    assert state(bus) == {**raised(), **system("new")}
    assert markers(bus)[-1].proposal == name
    assert done.version == read_held(bus).version


def test_facts_without_a_marker_that_slip_in_do_not_come_true_with_an_approval(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    bus.before = [lambda: None, lambda: bring(bus, {**BASE, **system("never")}, whole=False)]
    approve(name, "boss-2", bus, CLOCK)
    assert state(bus) == raised()


def test_two_who_approve_at_once_make_it_count_once(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    bus.before = [lambda: approve(name, "boss-3", bus, CLOCK)]
    with pytest.raises(PublicationConflictError):
        approve(name, "boss-2", bus, CLOCK)
    assert state(bus) == raised()
    with pytest.raises(ProposalRefusedError, match="approved as version 2 by boss-3"):
        approve(name, "boss-2", bus, CLOCK)


def test_a_refusal_in_the_same_moment_stops_an_approval(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    bus.before = [lambda: refuse(name, "boss-3", bus, CLOCK)]
    with pytest.raises(PublicationConflictError):
        approve(name, "boss-2", bus, CLOCK)
    assert (state(bus), dict(read_held(bus).proposals.open)) == (BASE, {})


def test_a_refusal_that_comes_too_late_says_so(bus: Tripwire) -> None:
    name = proposed(bus, raised())
    bus.before = [lambda: approve(name, "boss-3", bus, CLOCK)]
    with pytest.raises(PublicationConflictError, match="approved at the same moment"):
        refuse(name, "boss-2", bus, CLOCK)
    assert state(bus) == raised()


def test_proposing_gives_way_to_a_publication_under_way(bus: Tripwire) -> None:
    bus.before = [lambda: bring(bus, {**BASE, **system("new")}, whole=True)]
    with pytest.raises(PublicationConflictError, match="nothing is proposed"):
        proposed(bus, raised())
    assert not read_held(bus).proposals.open


def test_somebody_who_only_proposes_or_closes_a_month_disturbs_no_publication(bus: Tripwire) -> None:
    def meanwhile() -> None:
        said, made = proposal_events(tariff("4"), "anna-1", None, 7, CLOCK.now())
        data = Closing(month="2026-10", cut_off=CLOCK.now())
        closed = PeriodClosed(id="closing-1", source="valvomo", subject="2026-10", time=CLOCK.now(), data=data)
        messages = [message_of(event) for event in [*said, made]]
        MemoryBus.publish(bus, [*messages, Message(REGISTER.name, key_of(closed), encode(closed))])

    bus.before = [meanwhile, meanwhile]
    assert publish({**BASE, **system("new")}, bus, CLOCK).version == 2
    assert state(bus) == {**BASE, **system("new")}


def test_changes_that_are_not_whole_or_of_no_such_kind_are_no_proposal(bus: Tripwire) -> None:
    said, made = proposal_events({**tariff("4"), **budget("7")}, "anna-1", None, 7, CLOCK.now())
    bus.publish([message_of(event) for event in [said[0], made]])
    foreign, whole = proposal_events(system("new"), "anna-1", None, 9, CLOCK.now())
    bus.publish([message_of(event) for event in [*foreign, whole]])
    held = read_held(bus)
    assert [one.changes for one in held.proposals.open.values()] == []


NEEDED = {**BASE, **tariff("1", currency="USD"), **rates(USD="1.1", SEK="11")}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param({**UNITS, **rates(SEK="12")}, {**NEEDED, **rates(USD="1.1", SEK="12")}, id="a rate"),
        pytest.param(UNITS, {**NEEDED, **rates(USD="1.1")}, id="a whole day of rates"),
        pytest.param({**system("new"), **rates(USD="1.2")}, {**NEEDED, **system("new"), **rates(USD="1.2")}, id="ids"),
        pytest.param(NEEDED, NEEDED, id="the same"),
    ],
)
def test_what_prices_in_force_need_stays_until_they_are_gone(wanted: Facts, expected: Facts) -> None:
    assert at_once(NEEDED, wanted) == expected


PRICES = st.sampled_from(["1", "2", "3"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["propose", "approve", "refuse", "at once"]), PRICES, st.sampled_from(["a", "b", "c"])),
    max_size=12,
)


@given(STEPS)
def test_a_price_in_force_was_approved_by_another_than_its_author(steps: list[tuple[str, str, str]]) -> None:
    bus = MemoryBus(CLOCK)
    publish(BASE, bus, CLOCK)
    for what, price, who in steps:
        names = list(read_held(bus).proposals.made) or ["none"]
        try:
            match what:
                case "propose":
                    propose(raised(price), bus, CLOCK, who, None)
                case "at once":
                    publish_at_once({**raised(price), **system("s" + price)}, bus, CLOCK)
                case "approve":
                    approve(names[-1], who, bus, CLOCK)
                case _:
                    refuse(names[0], who, bus, CLOCK)
        except ProposalRefusedError:
            continue
    prices = [Decimal(1)]
    for marker in markers(bus):
        if marker.proposal is not None:
            assert marker.author != marker.approver
            prices = [fact.price for fact in read_held(bus).proposals.made[marker.proposal].changes.values()]  # type: ignore[union-attr]
    assert state(bus)["tariff", "t"].price == prices[-1]  # type: ignore[attr-defined]
