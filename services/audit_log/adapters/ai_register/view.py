"""What the AI register is shown from, in SQL; and the newest view of it, kept for a while."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from threading import Lock

from sqlalchemy import Connection, case, func, select

from services.audit_log.adapters.ai_register.costs import read_costs
from services.audit_log.adapters.tables import case_file, finding, refold, register_fact
from services.audit_log.domain.ai_register.view import LONG, REVIEWED_OVER, SHORT, Cost, Counts, Facts, View, view
from services.audit_log.domain.reviews.folding import MISSING_STATES, REVIEWED_STATES
from services.shared.clock import Clock
from services.shared.events.outcomes import FindingKind
from services.shared.events.plans import BenefitResult
from services.shared.events.register import Policy, System, Unit, UseCase
from services.shared.periods import helsinki_day
from services.shared.store import Store

FRESH = timedelta(minutes=1)
"""A view younger than this is shown as it is."""
STALE = timedelta(minutes=5)
"""An older one is not shown any more; in between it is shown once more, and made anew after the answer."""

_KINDS = ("benefit", "policy", "system", "unit", "use_case")
_HIDDEN_STATES = ("", "unknown_output")


def read_facts(connection: Connection, now: datetime) -> Facts:
    """Everything the view needs, at one moment of a connection's view."""
    documents: dict[str, list[str]] = defaultdict(list)
    of_these = register_fact.c.kind.in_(_KINDS)
    for row in connection.execute(select(register_fact).where(of_these).order_by(register_fact.c.fact_id)):
        documents[row.kind].append(row.document)
    systems = map(System.model_validate_json, documents["system"])
    costs = read_costs(connection)
    return Facts(
        units=tuple(map(Unit.model_validate_json, documents["unit"])),
        systems={one.id: one for one in systems},
        use_cases=tuple(map(UseCase.model_validate_json, documents["use_case"])),
        policies=tuple(map(Policy.model_validate_json, documents["policy"])),
        benefits=tuple(map(BenefitResult.model_validate_json, documents["benefit"])),
        counts=output_counts(connection, now),
        findings=_open_findings(connection),
        costs={name: Cost(told.band, date.fromisoformat(told.as_of)) for name, told in costs.items()},
    )


def output_counts(connection: Connection, now: datetime) -> Mapping[tuple[str, str], Counts]:
    """(use case, unit) → its outputs, and the reviews of them that were due. Read from an index alone."""
    made, due = case_file.c.generated_at, case_file.c.due_at
    was_due = (due <= now) & (due > now - REVIEWED_OVER)
    columns = (case_file.c.use_case, case_file.c.unit, case_file.c.state)
    query = (
        select(
            *columns,
            func.sum(case((made > now - SHORT, 1), else_=0)),
            func.sum(case((made > now - LONG, 1), else_=0)),
            func.sum(case((was_due, 1), else_=0)),
            func.max(made),
        )
        .where(case_file.c.state.not_in(_HIDDEN_STATES))
        .group_by(*columns)
    )
    found: dict[tuple[str, str], Counts] = defaultdict(Counts)
    for use, unit, state, short, long, judged, last in connection.execute(query):
        reviewed = int(judged) if state in REVIEWED_STATES else 0
        required = int(judged) if state in REVIEWED_STATES | MISSING_STATES else 0
        found[use, unit] = found[use, unit].plus(Counts(int(short), int(long), last, required, reviewed))
    return found


def _open_findings(connection: Connection) -> Mapping[str, Mapping[FindingKind, int]]:
    query = (
        select(finding.c.use_case, finding.c.kind, func.count())
        .where(finding.c.closed_seq.is_(None), finding.c.use_case != "")
        .group_by(finding.c.use_case, finding.c.kind)
        .order_by(finding.c.use_case, finding.c.kind)
    )
    found: dict[str, dict[FindingKind, int]] = defaultdict(dict)
    for use, kind, count in connection.execute(query):
        found[use][kind] = count
    return found


def is_refold_due(connection: Connection) -> bool:
    """Whether a newer program has not made the projections again yet, so that they tell of a part only."""
    return connection.execute(select(refold)).first() is not None


class RegisterViews:
    """The newest view, for pages that are asked for often."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._one_at_a_time = Lock()
        self._kept: View | None = None

    def newest(self) -> View:
        """A view that is at most `STALE` old."""
        kept = self._kept
        if kept is not None and self._clock.now() - kept.now < STALE:
            return kept
        with self._one_at_a_time:  # who waited here finds what another thread has made
            return self._make_unless_younger(STALE)

    def renew(self) -> None:
        """Make a new view unless the newest is fresh or another thread is at it; to be called after an answer."""
        if self._one_at_a_time.acquire(blocking=False):
            try:
                self._make_unless_younger(FRESH)
            finally:
                self._one_at_a_time.release()

    def _make_unless_younger(self, age: timedelta) -> View:
        kept, now = self._kept, self._clock.now()
        if kept is None or now - kept.now >= age:
            kept = self._kept = read_view(self._store, now)
        return kept


def read_view(store: Store, now: datetime) -> View:
    """The register as it stands now."""
    with store.reading() as connection:
        facts = read_facts(connection, now)
    return view(facts, now, helsinki_day(now))
