"""Alerts as gauges: how many conditions hold, and how many of them nobody acts on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.cost_alerts.adapters.alerts import AlertState, alert_states
from services.shared import metrics
from services.shared.events.outcomes import AlertKind, Severity
from services.shared.store import Store

SHOWN = (metrics.ALERTS_OPEN, metrics.ALERTS_UNACKNOWLEDGED)
_USUAL: Sequence[Severity] = ("warning", "critical")


class AlertMetrics(Collector):
    """What a scrape shows of open alerts. Every kind has its series, also while none is open: a rule sees it end."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Names without reading: registering must not touch the database."""
        return map(metrics.family, SHOWN)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._store.reading() as connection:
            return alert_families(alert_states(connection))


def alert_families(states: Sequence[AlertState]) -> Iterator[GaugeMetricFamily]:
    """Of the alerts that are open."""
    usual = Counter({(kind, severity): 0 for kind in get_args(AlertKind) for severity in _USUAL})
    usual.update((one.condition.kind, one.condition.severity) for one in states)
    yield metrics.filled(metrics.ALERTS_OPEN, [(labels, float(count)) for labels, count in sorted(usual.items())])
    waiting = sum(one.acknowledged is None for one in states)
    yield metrics.filled(metrics.ALERTS_UNACKNOWLEDGED, [((), float(waiting))])
