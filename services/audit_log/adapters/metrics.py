"""What operations see of the log and the reviews, read from the database when Prometheus asks."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.audit_log.adapters.cases import due_counts, open_counts, state_counts
from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.entries import read_frontier
from services.audit_log.domain.review import MISSING_STATES, REVIEWED_STATES
from services.shared.clock import Clock
from services.shared.metrics import (
    FINDINGS_OPEN,
    LOG_CHECKPOINT_TIME,
    LOG_REWRITABLE,
    LOG_SIZE,
    OUTPUTS,
    REVIEW_RATIO,
    family,
    filled,
)
from services.shared.store import Store
from services.shared.store.roles import owns_tables


class AuditMetrics(Collector):
    """What a scrape shows."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return map(family, (OUTPUTS, FINDINGS_OPEN, REVIEW_RATIO, LOG_SIZE, LOG_REWRITABLE, LOG_CHECKPOINT_TIME))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._store.reading() as connection:
            states = state_counts(connection)
            findings = open_counts(connection)
            due = due_counts(connection, self._clock.now())
            size, newest = read_frontier(connection).size, newest_checkpoint(connection)
            owns = [owns_tables(connection)] if self._store.dialect == "postgresql" else []
        yield filled(OUTPUTS, [((system, state), count) for system, state, count in states])
        yield filled(FINDINGS_OPEN, [((unit, kind), count) for unit, kind, count in findings])
        yield filled(REVIEW_RATIO, [((system,), ratio) for system, ratio in review_ratios(due)])
        yield filled(LOG_SIZE, [((), size)])
        yield filled(LOG_REWRITABLE, [((), float(one)) for one in owns])
        yield filled(LOG_CHECKPOINT_TIME, [((), newest[1].timestamp())] if newest else [])


def review_ratios(due: Sequence[tuple[str, str, int]]) -> list[tuple[str, float]]:
    """Per system the reviewed outputs among those whose review was due: (system, state, outputs) in."""
    reviewed: defaultdict[str, int] = defaultdict(int)
    required: defaultdict[str, int] = defaultdict(int)
    for system, state, count in due:
        reviewed[system] += count if state in REVIEWED_STATES else 0
        required[system] += count if state in REVIEWED_STATES | MISSING_STATES else 0
    return [(system, reviewed[system] / count) for system, count in sorted(required.items()) if count]
