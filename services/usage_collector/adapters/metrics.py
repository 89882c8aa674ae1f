"""What operations see of the sources, read from the collector's database when Prometheus asks."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.shared.clock import Clock
from services.shared.metrics import COLLECTION_GAP, SOURCE_DATA_AGE, SOURCE_LAST_SUCCESS, filled
from services.usage_collector.adapters.state import CollectorState


class SourceMetrics(Collector):
    """What a scrape shows.

    ```
    valvomo_source_last_success_timestamp_seconds{source="anthropic"} 1.7953704e+09
    valvomo_source_data_age_seconds{source="anthropic"} 3600.0
    valvomo_collection_gap_days{source="anthropic"} 0.0
    ```

    A source that was never read has no success and no age: an absent value is what an alert looks for.
    """

    def __init__(self, state: CollectorState, clock: Clock, names: Collection[str]) -> None:
        self._state = state
        self._clock = clock
        self._names = names

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Names without reading: registering must not touch the database."""
        for metric in (SOURCE_LAST_SUCCESS, SOURCE_DATA_AGE, COLLECTION_GAP):
            yield filled(metric, ())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = self._clock.now()
        standing = {name: found for name, found in self._state.all_standing().items() if name in self._names}
        missing = self._state.missing_days()
        read = [(name, found.succeeded_at) for name, found in standing.items() if found.succeeded_at]
        told = [(name, found.read_to) for name, found in standing.items() if found.read_to]
        yield filled(SOURCE_LAST_SUCCESS, [((name,), at.timestamp()) for name, at in read])
        yield filled(
            SOURCE_DATA_AGE, [((name,), max(now - until, timedelta()).total_seconds()) for name, until in told]
        )
        yield filled(COLLECTION_GAP, [((name,), float(missing.get(name, 0))) for name in standing])
