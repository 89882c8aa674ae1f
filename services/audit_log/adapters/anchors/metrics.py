"""What operations see of the anchors, read from the database when Prometheus asks."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.audit_log.adapters.anchors.pushing import Pusher
from services.audit_log.domain.anchoring import Standing
from services.shared.metrics import LOG_ANCHOR_PROBLEM, LOG_ANCHOR_TIME, family, filled

_FINE, _AWAY, _REFUSES = 0, 1, 2


class AnchorMetrics(Collector):
    """What a scrape shows. An anchor that has nothing yet has the time 0."""

    def __init__(self, pusher: Pusher) -> None:
        self._pusher = pusher

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return map(family, (LOG_ANCHOR_TIME, LOG_ANCHOR_PROBLEM))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = [(report.name, report.standing) for report in self._pusher.reports()]
        times = [((name,), one.anchored_at.timestamp() if one.anchored_at else 0.0) for name, one in found]
        yield filled(LOG_ANCHOR_TIME, times)
        yield filled(LOG_ANCHOR_PROBLEM, [((name,), _problem(one)) for name, one in found])


def _problem(standing: Standing) -> float:
    if standing.refusal:
        return _REFUSES
    return _AWAY if standing.failures else _FINE
