"""Changes that wait for a second person: how they are written on the register topic, and what of them is still open.

A proposal is said change by change and then made whole by `proposal.made`, which names their number and digest. It is
decided by the marker of the version that carries it, or by a refusal; `proposal.decided` tells either.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from pydantic import ValidationError

from services.shared.events import Event, event_id
from services.shared.events.envelope import Fact
from services.shared.events.register import (
    ChangeProposed,
    Decision,
    Proposal,
    ProposalDecided,
    ProposalMade,
    ProposedChange,
    RegisterVersion,
)
from services.usage_collector.register.facts import KIND, SOURCE, FactKey, Facts, canonical

APPROVED_KINDS = ("tariff", "contract", "budget")
"""The kinds that a second person approves, when approval is on."""

Changes = Mapping[FactKey, Fact | None]


@dataclass(frozen=True, slots=True)
class Proposed:
    """A whole proposal, and what held for its facts when it was made."""

    fact: Proposal
    changes: Changes
    replaces: Changes

    def outdated(self, held: Facts) -> Sequence[FactKey]:
        """The facts that have changed since, to something else than what is proposed."""
        return [key for key, fact in self.changes.items() if held.get(key) not in (self.replaces[key], fact)]


@dataclass(frozen=True, slots=True)
class Decided:
    """Who decided; `version` carries the changes (None: refused); `told`: whether `proposal.decided` has been said."""

    approver: str | None
    version: int | None
    told: bool


@dataclass(slots=True)
class Proposals:
    """Every proposal on the topic, as far as it was read."""

    made: dict[str, Proposed] = field(default_factory=dict)
    decided: dict[str, Decided] = field(default_factory=dict)
    _said: dict[str, dict[FactKey, str | None]] = field(default_factory=dict)
    _replaces: dict[str, dict[FactKey, Fact | None]] = field(default_factory=dict)

    @property
    def open(self) -> Mapping[str, Proposed]:
        return {name: proposed for name, proposed in self.made.items() if name not in self.decided}

    def take(self, event: Event, held: Facts) -> None:
        """Read one event; `held` is what counted before it."""
        match event:
            case ChangeProposed(data=ProposedChange(proposal=name, kind=kind, fact_id=fact_id, body=body)):
                self._said.setdefault(name, {})[kind, fact_id] = body
                self._replaces.setdefault(name, {}).setdefault((kind, fact_id), held.get((kind, fact_id)))
            case ProposalMade(data=fact):
                self._make(fact)
            case ProposalDecided(data=decision):
                self._decide(decision)
            case _:
                pass

    def carried(self, marker: RegisterVersion) -> None:
        """A version that counts carries a proposal."""
        if marker.proposal is not None:
            self.decided[marker.proposal] = Decided(marker.approver, marker.version, told=False)

    def _make(self, fact: Proposal) -> None:
        said = self._said.pop(fact.proposal, {})
        replaces = self._replaces.pop(fact.proposal, {})
        if fact.proposal in self.made or _digest(said) != fact.digest:
            return  # somebody was interrupted, or says another proposal by the same name
        changes = _read(said)
        if changes is not None:
            self.made[fact.proposal] = Proposed(fact, changes, replaces)

    def _decide(self, decision: Decision) -> None:
        before = self.decided.get(decision.proposal)
        if before is not None:
            self.decided[decision.proposal] = Decided(before.approver, before.version, told=True)
        elif not decision.approved:  # an approval counts by its version's marker only
            self.decided[decision.proposal] = Decided(decision.approver, None, told=True)


def proposal_events(
    changes: Changes, author: str, reason: str | None, after: int, now: datetime
) -> tuple[Sequence[ChangeProposed], ProposalMade]:
    """The events of a proposal that is made after the offset `after`."""
    said = _said(changes)
    digest = _digest(said)
    name = event_id("proposal", digest, author, after)[:12]
    events = [
        ChangeProposed(
            id=event_id("register", "proposed", name, kind, fact_id),
            source=SOURCE,
            subject=fact_id,
            time=now,
            data=ProposedChange(proposal=name, kind=kind, fact_id=fact_id, body=body),
        )
        for (kind, fact_id), body in sorted(said.items())
    ]
    fact = Proposal(proposal=name, changes=len(said), digest=digest, author=author, reason=reason)
    made = event_id("register", "proposal", name)
    return events, ProposalMade(id=made, source=SOURCE, subject=name, time=now, data=fact)


def decided_event(name: str, approver: str, version: int | None, now: datetime) -> ProposalDecided:
    """That a proposal was approved as `version`, or refused (None)."""
    fact = Decision(proposal=name, approver=approver, approved=version is not None, version=version)
    told = event_id("register", "decided", name, approver, version or 0)
    return ProposalDecided(id=told, source=SOURCE, subject=name, time=now, data=fact)


def same_changes(proposed: Proposed, changes: Changes) -> bool:
    """Whether two sets of changes come to the same, also when a program without our newest members wrote one."""
    return proposed.changes == changes


def _said(changes: Changes) -> dict[FactKey, str | None]:
    return {key: None if fact is None else canonical(fact) for key, fact in changes.items()}


def _digest(said: Mapping[FactKey, str | None]) -> str:
    return sha256(json.dumps(sorted([*key, body] for key, body in said.items())).encode()).hexdigest()


def _read(said: Mapping[FactKey, str | None]) -> Changes | None:
    if not all(kind in APPROVED_KINDS for kind, _ in said):
        return None
    try:
        return {
            (kind, fact_id): None if body is None else KIND[kind].model.model_validate_json(body)
            for (kind, fact_id), body in said.items()
        }
    except ValidationError:
        return None  # written by another program than this one: nothing that anybody could approve
