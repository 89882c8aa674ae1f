"""The loop "audit register": what the AI register lacks becomes a finding, and what was mended closes it.

It looks at the register, at what was seen in use and at incidents, as the log has them, whenever the log has grown and
at every minute. Nothing is decided before the log has read all that was on the bus a moment ago: a register that comes
right after a use makes no false finding.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from services.audit_log.adapters.ai_register.incident_files import list_incidents
from services.audit_log.adapters.ai_register.sightings import read_sightings
from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.indexing import indexed_size
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import finding, register_fact
from services.audit_log.domain.ai_register.findings import (
    KINDS,
    Closing,
    Known,
    Wanted,
    answer_late,
    answer_missing,
    answer_uncovered,
    of_clock,
    of_missing,
    of_uncovered,
    to_close,
    to_open,
)
from services.audit_log.domain.ai_register.incidents import IncidentFile, unanswered
from services.audit_log.domain.ai_register.obligations import obligations, policy_on, uncovered
from services.audit_log.domain.ai_register.sightings import Sighting
from services.audit_log.handlers import say_once
from services.shared.clock import Clock
from services.shared.consumer import ConsumerStatus
from services.shared.events.outcomes import Finding, FindingClosed, FindingClosing, FindingOpened
from services.shared.events.register import Policy, UseCase
from services.shared.periods import helsinki_day
from services.shared.store import Store

PAUSE_SECONDS = 1.0
_MINUTE = 60


class RegisterView:
    """What the log holds, in one consistent view: the register, what was seen, incidents, and findings about them."""

    def __init__(self, connection: Connection) -> None:
        facts = _facts(connection)
        self.policies = [Policy.model_validate_json(text) for text in facts["policy"]]
        self.use_cases = [UseCase.model_validate_json(text) for text in facts["use_case"]]
        self.owners = _owners(facts["system"], facts["unit"])
        self.sightings: Sequence[Sighting] = read_sightings(connection)
        self.incidents: Sequence[IncidentFile] = list_incidents(connection)
        self.known = _known(connection)

    def decide(self, now: datetime) -> list[FindingOpened | FindingClosed]:
        """The findings to open and to close at `now`. Without a policy in force only clocks of incidents run."""
        today = helsinki_day(now)
        policy = policy_on(self.policies, today)
        wanted = [of_clock(*one) for one in unanswered(self.incidents, now)]
        if policy is not None:
            missing = obligations(self.use_cases, self.policies, today)
            wanted += [of_missing(one) for one in missing if one.state != "coming"]
            strange = uncovered(self.sightings, self.use_cases, today)
            wanted += [of_uncovered(one, self.owners.get(one.seen.system)) for one in strange]
        opened = to_open(wanted, self.known, policy, now)
        judged = [one.finding for one in self.known if policy is not None or one.finding.kind == "incident_late"]
        answers = {one.finding_id: self._answer(one, wanted, now) for one in judged}
        return [*opened, *to_close(self.known, answers, now)]

    def _answer(self, found: Finding, wanted: Sequence[Wanted], now: datetime) -> Closing | None:
        today = helsinki_day(now)
        same = frozenset(
            one.about
            for one in wanted
            if (one.kind, one.use_case, one.system) == (found.kind, found.use_case, found.system)
        )
        if found.kind == "record_missing":
            return answer_missing(found, same, self.use_cases, today)
        if found.kind == "uncovered_use":
            return answer_uncovered(found, same, self.sightings, self.use_cases, today)
        return answer_late(found, self.incidents, now)


class RegisterWatch:
    """Opens and closes findings about the register; for a `Loop`.

    Args:
        store: the log's database.
        clock: tells which day it is.
        may_decide: whether all that the bus held at the first start was read.
        status: how far the log has read the bus.
    """

    def __init__(
        self, store: Store, clock: Clock, may_decide: Callable[[Connection], bool], status: Callable[[], ConsumerStatus]
    ) -> None:
        self._store, self._clock, self._may_decide, self._status = store, clock, may_decide, status
        self._ends: dict[tuple[str, int], int] | None = None
        self._seen: tuple[int, int, int] | None = None

    def step(self) -> float:
        """Look once, if anything can have changed; how long to pause, in seconds."""
        now = self._clock.now()
        if not self._has_read_on():
            return PAUSE_SECONDS
        with self._store.reading() as connection:
            place = (read_frontier(connection).size, indexed_size(connection), int(now.timestamp()) // _MINUTE)
            if place == self._seen or not self._may_decide(connection):
                return PAUSE_SECONDS
            events = RegisterView(connection).decide(now)
        if events:
            with self._store.transaction() as tx:
                say_once(SqlCaseFiles(), tx, events, now)
        self._seen = place
        return PAUSE_SECONDS

    def _has_read_on(self) -> bool:
        """Whether all was read that was on the bus at an earlier look: under load the newest is never read."""
        status = self._status()
        before = self._ends
        read = status.caught_up or (
            before is not None
            and all((part.position or 0) >= before.get((part.topic, part.partition), 0) for part in status.partitions)
        )
        if read or before is None:
            self._ends = {(part.topic, part.partition): part.end for part in status.partitions}
        return read


def _facts(connection: Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {kind: [] for kind in ("policy", "system", "unit", "use_case")}
    query = select(register_fact.c.kind, register_fact.c.document).where(register_fact.c.kind.in_(sorted(found)))
    for kind, document in connection.execute(query.order_by(register_fact.c.kind, register_fact.c.fact_id)):
        found[kind].append(document)
    return found


def _owners(systems: Sequence[str], units: Sequence[str]) -> dict[str, str]:
    """System → the unit that answers for it, of those whose owner is a unit and no role."""
    known = {json.loads(document)["id"] for document in units}
    owners = {told["id"]: told["owner"] for told in map(json.loads, systems)}
    return {system: owner for system, owner in owners.items() if owner in known}


def _known(connection: Connection) -> list[Known]:
    query = select(finding.c.opened, finding.c.closed).where(finding.c.kind.in_(KINDS), finding.c.output_id.is_(None))
    rows = connection.execute(query.order_by(finding.c.opened_seq)).all()
    return [Known(Finding.model_validate_json(row.opened), _reason(row.closed)) for row in rows]


def _reason(closed: str | None) -> str | None:
    return FindingClosing.model_validate_json(closed).reason if closed else None
