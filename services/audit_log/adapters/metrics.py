"""What operations see of the log and the reviews, read from the database when Prometheus asks."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select

from services.audit_log.adapters.ai_register.incident_files import list_incidents
from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.reviews.cases import open_counts, read_rulebook
from services.audit_log.adapters.reviews.findings import oldest_open
from services.audit_log.adapters.reviews.shares import OutputCount, count_outputs
from services.audit_log.adapters.tables import case_file
from services.audit_log.domain.ai_register.incidents import IncidentFile, next_clock
from services.audit_log.domain.reviews.case import MISSING_STATES, REVIEWED_STATES, WAITING_STATES
from services.shared.clock import Clock
from services.shared.metrics import (
    FINDINGS_OLDEST,
    FINDINGS_OPEN,
    INCIDENT_DUE,
    INCIDENTS_OPEN,
    LOG_CHECKPOINT_TIME,
    LOG_REWRITABLE,
    LOG_SIZE,
    OUTPUTS,
    REVIEW_JUDGING_LAG,
    REVIEW_OVERDUE,
    REVIEW_RATIO,
    REVIEWS_WAITING,
    USE_CASE_REVIEW_RATIO,
    Metric,
    family,
    filled,
)
from services.shared.store import Store
from services.shared.store.roles import owns_tables

_Samples = list[tuple[tuple[str, ...], float]]
_Key = Callable[[OutputCount], tuple[str, ...]]
_TOUCHED = timedelta(days=365)
"""A case whose look is said to be older than this was touched a moment ago: it waits, but not for so long."""
_SHOWN = (
    OUTPUTS, FINDINGS_OPEN, FINDINGS_OLDEST, REVIEW_RATIO, USE_CASE_REVIEW_RATIO, REVIEWS_WAITING, REVIEW_OVERDUE,
    REVIEW_JUDGING_LAG, INCIDENTS_OPEN, INCIDENT_DUE, LOG_SIZE, LOG_REWRITABLE, LOG_CHECKPOINT_TIME,
)  # fmt: skip


class AuditMetrics(Collector):
    """What a scrape shows."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return map(family, _SHOWN)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._store.reading() as connection:
            owns = [owns_tables(connection)] if self._store.dialect == "postgresql" else []
            found = dict(_read(connection, self._clock.now()))
        found[LOG_REWRITABLE] = [((), float(one)) for one in owns]
        for metric in _SHOWN:
            yield filled(metric, found[metric])


def _read(connection: Connection, now: datetime) -> Iterator[tuple[Metric, _Samples]]:
    yield from _of_reviews(connection, now)
    yield FINDINGS_OPEN, [((unit, kind), count) for unit, kind, count in open_counts(connection)]
    yield FINDINGS_OLDEST, [((kind,), (now - first).total_seconds()) for kind, first in oldest_open(connection)]
    yield from _of_incidents(list_incidents(connection, still_open=True), now)
    yield LOG_SIZE, [((), read_frontier(connection).size)]
    newest = newest_checkpoint(connection)
    yield LOG_CHECKPOINT_TIME, [((), newest[1].timestamp())] if newest else []


def _of_reviews(connection: Connection, now: datetime) -> Iterator[tuple[Metric, _Samples]]:
    registered = {one.id for one in read_rulebook(connection).use_cases}
    counted = count_outputs(connection, now)
    waiting = [one for one in counted if one.state in WAITING_STATES]
    yield OUTPUTS, _added(counted, lambda one: (one.system, one.state))
    yield REVIEW_RATIO, review_ratios(counted, lambda one: (one.system,))
    in_register = [one for one in counted if one.use_case in registered]
    yield USE_CASE_REVIEW_RATIO, review_ratios(in_register, lambda one: (one.use_case, one.unit))
    yield REVIEWS_WAITING, _added(waiting, lambda one: (one.unit, one.risk_class))
    yield REVIEW_OVERDUE, _overdue(waiting, now)
    yield REVIEW_JUDGING_LAG, [((), _judging_lag(connection, now))]


def _added(counted: Sequence[OutputCount], key: _Key) -> _Samples:
    outputs: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for one in counted:
        outputs[key(one)] += one.outputs
    return sorted(outputs.items())


def review_ratios(counted: Sequence[OutputCount], key: _Key) -> _Samples:
    """Of outputs whose review was due, those that were reviewed, by whatever `key` tells apart."""
    reviewed: defaultdict[tuple[str, ...], int] = defaultdict(int)
    required: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for one in counted:
        reviewed[key(one)] += one.due if one.state in REVIEWED_STATES else 0
        required[key(one)] += one.due if one.state in REVIEWED_STATES | MISSING_STATES else 0
    return [(labels, reviewed[labels] / count) for labels, count in sorted(required.items()) if count]


def _overdue(waiting: Sequence[OutputCount], now: datetime) -> _Samples:
    first: dict[str, datetime] = {}
    for one in waiting:
        if one.first_due is not None:
            first[one.unit] = min(one.first_due, first.get(one.unit, one.first_due))
    return [((unit,), (now - due).total_seconds()) for unit, due in sorted(first.items())]


def _judging_lag(connection: Connection, now: datetime) -> float:
    oldest = func.min(case_file.c.next_look)
    query = select(oldest).where(case_file.c.next_look < now, case_file.c.next_look > now - _TOUCHED)
    first = connection.execute(query).scalar()
    return 0.0 if first is None else (now - first).total_seconds()


def _of_incidents(still: Sequence[IncidentFile], now: datetime) -> Iterator[tuple[Metric, _Samples]]:
    kinds = sorted({file.incident.kind for file in still})
    yield INCIDENTS_OPEN, [((kind,), sum(file.incident.kind == kind for file in still)) for kind in kinds]
    first: dict[tuple[str, ...], float] = {}
    for file in still:
        clock = next_clock(file, now)
        if clock is not None:
            labels, due = (file.incident.kind, clock.whom), clock.due_at.timestamp()
            first[labels] = min(due, first.get(labels, due))
    yield INCIDENT_DUE, sorted(first.items())
