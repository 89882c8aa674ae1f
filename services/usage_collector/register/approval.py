"""A second person: what is published at once, what is proposed, and how a proposal comes to count.

A version that carries a proposal is published like any other, on top of what holds, so that the rule for publications
at the same moment is the same for all: one gives way, and nothing is half-applied.
"""

from collections.abc import Iterator

from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.errors import ConfigurationError
from services.shared.events import REGISTER
from services.shared.events.envelope import Fact
from services.shared.events.plans import Budget
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import FxRates, Unit
from services.usage_collector.register.checks import problems_between
from services.usage_collector.register.documents import Entry
from services.usage_collector.register.entries import Item
from services.usage_collector.register.facts import UNSIGNED, FactKey, Facts, Signed
from services.usage_collector.register.fx import currencies_of
from services.usage_collector.register.plan_checks import defined
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.proposals import (
    APPROVED_KINDS,
    Changes,
    Proposed,
    decided_event,
    proposal_events,
    same_changes,
)
from services.usage_collector.register.publish import Publication, PublicationConflictError, message_of, publish_on
from services.usage_collector.register.unit_checks import weights_of
from services.usage_collector.register.versions import Held, changes, read_held, read_on


class ProposalRefusedError(ConfigurationError):
    """The proposal cannot be decided like this. Nothing of it counts."""


def waiting_changes(held: Facts, wanted: Facts) -> Changes:
    """What of a folder's changes a second person has to approve."""
    return {key: fact for key, fact in changes(held, wanted).items() if key[0] in APPROVED_KINDS}


def publish_at_once(wanted: Facts, bus: EventBus, clock: Clock, signed: Signed = UNSIGNED) -> Publication:
    """Publish the kinds that nobody approves, and leave the others as they are; see `publish`."""
    return publish_on(lambda held: at_once(held.facts, wanted), bus, clock, signed)


def at_once(held: Facts, wanted: Facts) -> Facts:
    """`wanted` without changes of the kinds that are approved, and with all that those in force still need."""
    kept = {key: fact for key, fact in held.items() if key[0] in APPROVED_KINDS}
    now = {key: fact for key, fact in wanted.items() if key[0] not in APPROVED_KINDS} | kept
    return {**now, **_needed_ids(held, now, kept), **_needed_rates(held, now, kept)}


def _needed_ids(held: Facts, now: Facts, kept: Facts) -> Facts:
    """Systems, units and programmes that are gone from the folder, but not from a price or budget in force."""
    named = {("system", fact.system) for fact in kept.values() if isinstance(fact, Tariff | Contract | Budget)}
    named |= {("programme", fact.programme) for fact in kept.values() if isinstance(fact, Budget)}
    waiting = list(_units_of(kept))
    while waiting:
        unit = waiting.pop()
        if ("unit", unit) not in named:
            named.add(("unit", unit))
            waiting += [
                fact.parent for fact in held.values() if isinstance(fact, Unit) and fact.id == unit and fact.parent
            ]
    there = {(key[0], getattr(fact, "id", "")) for key, fact in now.items()}
    return {key: fact for key, fact in held.items() if (key[0], getattr(fact, "id", "")) in named - there}


def _units_of(kept: Facts) -> Iterator[str]:
    for fact in kept.values():
        if isinstance(fact, Budget):
            yield fact.unit
        elif isinstance(fact, Contract):
            yield from (unit for _, unit in weights_of(fact))


def _needed_rates(held: Facts, now: Facts, kept: Facts) -> Facts:
    currencies = {one for fact in kept.values() if isinstance(fact, Tariff | Contract) for one in currencies_of(fact)}
    rates: dict[FactKey, Fact] = {}
    for key, fact in held.items():
        if isinstance(fact, FxRates):
            there = now.get(key)
            ours = there.rates if isinstance(there, FxRates) else {}
            missing = {name: rate for name, rate in fact.rates.items() if name in currencies and name not in ours}
            if missing:
                source = there.source if isinstance(there, FxRates) else fact.source
                rates[key] = FxRates(day=fact.day, rates=dict(sorted((missing | ours).items())), source=source)
    return rates


def propose(wanted: Facts, bus: EventBus, clock: Clock, author: str, reason: str | None) -> Proposed | None:
    """Propose what of a folder waits for a second person; None when nothing does. The same again is the same proposal.

    Raises:
        PublicationConflictError: somebody published at the same time; nothing is proposed.
    """
    bus.ensure_topics((REGISTER,))
    held = read_held(bus)
    waiting = waiting_changes(held.facts, wanted)
    if not waiting:
        return None
    for one in held.proposals.open.values():
        if same_changes(one, waiting) and not one.outdated(held.facts):
            return one
    said, made = proposal_events(waiting, author, reason, held.end, clock.now())
    bus.publish([message_of(event) for event in said])
    if read_on(bus, held):
        raise PublicationConflictError(
            "found a publication of the register under way; expected none; nothing is proposed, publish again"
        )
    bus.publish([message_of(made)])
    read_on(bus, held)
    return held.proposals.made[made.data.proposal]


def approve(name: str, approver: str, bus: EventBus, clock: Clock) -> Publication:
    """Publish a proposal as a new version on top of what holds.

    Raises:
        ProposalRefusedError: it is not open, its own author approves, or what it changes has changed since.
        PublicationConflictError: somebody else published or decided at the same time; nothing counts.
    """
    bus.ensure_topics((REGISTER,))
    fact = _decidable(read_held(bus), name, approver).fact
    signed = Signed(fact.author, approver, fact.reason, name)
    done = publish_on(lambda held: _with_proposal(held, name, approver), bus, clock, signed)
    bus.publish([message_of(decided_event(name, approver, done.version, clock.now()))])
    return done


def refuse(name: str, approver: str, bus: EventBus, clock: Clock) -> None:
    """Close a proposal without effect.

    Raises:
        ProposalRefusedError: it is not open, or its own author decides.
        PublicationConflictError: somebody approved it at the same time.
    """
    bus.ensure_topics((REGISTER,))
    held = read_held(bus)
    _decidable(held, name, approver)
    bus.publish([message_of(decided_event(name, approver, None, clock.now()))])
    read_on(bus, held)
    if held.proposals.decided[name].version is not None:
        raise PublicationConflictError(
            f"found proposal {name} approved at the same moment; expected it to be open; "
            "look at `valvomo register proposals`, and publish the folder again to take it back"
        )


def _decidable(held: Held, name: str, approver: str) -> Proposed:
    proposed = held.proposals.made.get(name)
    if proposed is None:
        known = ", ".join(held.proposals.open) or "none"
        raise ProposalRefusedError(
            f"found no proposal {name!r}; expected one that is open, as {known}; see `valvomo register proposals`"
        )
    decided = held.proposals.decided.get(name)
    if decided is not None and (decided.told or decided.approver != approver):
        how = "refused" if decided.version is None else f"approved as version {decided.version}"
        raise ProposalRefusedError(
            f"found proposal {name} {how} by {decided.approver}; expected an open one; publish the folder again"
        )
    if proposed.fact.author.casefold() == approver.casefold():
        raise ProposalRefusedError(
            f"found {approver} as author and approver of {name}; expected a second person; let somebody else decide"
        )
    return proposed


def _with_proposal(held: Held, name: str, approver: str) -> Facts:
    proposed = _decidable(held, name, approver)
    outdated = proposed.outdated(held.facts)
    if outdated:
        raise ProposalRefusedError(
            f"found {' '.join(outdated[0])} changed since {name} was proposed; expected it as it was then; "
            f"refuse {name}, and publish the folder again"
        )
    facts = {key: fact for key, fact in {**held.facts, **proposed.changes}.items() if fact is not None}
    problems = sorted(set(_problems_of(facts)) - set(_problems_of(held.facts)))
    if problems:
        one = problems[0]
        raise ProposalRefusedError(
            f"{one.file}: found {one.found}; expected {one.expected}; refuse {name}, and publish the folder again"
        )
    return facts


def _problems_of(facts: Facts) -> Iterator[Problem]:
    items = [
        Item(kind, fact_id, fact, Entry(f"{kind} {fact_id}", 1, {}, {})) for (kind, fact_id), fact in facts.items()
    ]
    return problems_between(items, defined([(item.kind, item.fact.model_dump()) for item in items]))
