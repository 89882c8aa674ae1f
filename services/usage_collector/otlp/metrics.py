"""Token metrics into telemetry readings, under a source of their own: they count calls that spans and logs count too.

A delta point is a reading of its interval. A cumulative series is one reading since its start: each later point is a
higher revision (whole seconds since the start), so that no state is kept here, a restart loses nothing, and a repeated
point changes nothing. The price: all use of a long-lived process counts on the day it began. Nothing is billed by it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from services.shared.errors import InvalidEventError
from services.shared.events import event_id
from services.usage_collector.otlp.origin import Attributes, Origin, Raw, attributes_of, first_text, moment, whole
from services.usage_collector.otlp.tokens import Tokens

Part = Literal["input", "output", "cache_read", "cache_write"]

CLAUDE_CODE = "claude_code.token.usage"
OLD_HISTOGRAM = "gen_ai.client.token.usage"
_COUNTERS = "gen_ai.client.inference.usage."
_PARTS: dict[str, Part] = {
    f"{_COUNTERS}input_tokens": "input",
    f"{_COUNTERS}output_tokens": "output",
    f"{_COUNTERS}cache_read.input_tokens": "cache_read",
    f"{_COUNTERS}cache_write.input_tokens": "cache_write",
}
_TYPES: dict[str, Part] = {
    "input": "input",
    "output": "output",
    "cacheRead": "cache_read",
    "cacheCreation": "cache_write",
}
_TYPE_OF = {CLAUDE_CODE: "type", OLD_HISTOGRAM: "gen_ai.token.type"}


@dataclass(slots=True)
class Series:
    """Points that belong to one reading: the same attributes and the same start."""

    attributes: Attributes
    claude_code: bool
    cumulative: bool
    start: int
    end: int = 0
    points: int = 0
    parts: dict[Part, int] = field(default_factory=dict)
    fault: str | None = None


def series_of(metrics: Iterable[Metric]) -> Sequence[Series]:
    """The token series among the metrics of one scope; other metrics are let go.

    Most installed libraries still emit a removed histogram; where the counters that replaced it are sent as well, the
    histogram would count everything twice and is let go.
    """
    listed = list(metrics)
    replaced = any(metric.name in _PARTS for metric in listed)
    found: dict[tuple[object, ...], Series] = {}
    for metric in listed:
        if metric.name in _PARTS or metric.name == CLAUDE_CODE or (metric.name == OLD_HISTOGRAM and not replaced):
            _collect(metric, found)
    return list(found.values())


def _collect(metric: Metric, found: dict[tuple[object, ...], Series]) -> None:
    kind = metric.WhichOneof("data")
    if kind == "sum" and metric.sum.is_monotonic:
        for point in metric.sum.data_points:
            _add(metric.name, metric.sum.aggregation_temporality, point, _number(point), found)
    elif kind == "histogram":
        for bucketed in metric.histogram.data_points:
            _add(metric.name, metric.histogram.aggregation_temporality, bucketed, bucketed.sum, found)


def _number(point: NumberDataPoint) -> float:
    return point.as_int if point.WhichOneof("value") == "as_int" else point.as_double


def _add(
    name: str,
    temporality: int,
    point: NumberDataPoint | HistogramDataPoint,
    number: float,
    found: dict[tuple[object, ...], Series],
) -> None:
    attributes = dict(attributes_of(point.attributes))
    part = _PARTS.get(name) or _TYPES.get(str(attributes.pop(_TYPE_OF.get(name, ""), "")))
    cumulative = temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    key = (name == CLAUDE_CODE, cumulative, point.start_time_unix_nano, json.dumps(attributes, sort_keys=True))
    series = found.setdefault(key, Series(attributes, name == CLAUDE_CODE, cumulative, point.start_time_unix_nano))
    series.points += 1
    series.end = max(series.end, point.time_unix_nano)
    _count(series, part, number)


def _count(series: Series, part: Part | None, number: float) -> None:
    if part is None:
        return  # a kind of token that came after this was written
    try:
        series.parts[part] = series.parts.get(part, 0) + whole(number, part)
    except InvalidEventError as error:
        series.fault = str(error)


def series_event(series: Series, origin: Origin) -> Raw | None:
    """The telemetry reading of a series; none when nothing was counted.

    Raises:
        InvalidEventError: a count or a time cannot be, or the model is not told.
    """
    if series.fault is not None:
        raise InvalidEventError(series.fault)
    model = first_text(series.attributes, "model", "gen_ai.response.model", "gen_ai.request.model")
    if model is None:
        raise InvalidEventError("found a token metric without a model; expected gen_ai.request.model")
    tokens = _tokens(series)
    return _reading(series, origin, model, tokens) if tokens.is_known else None


def _tokens(series: Series) -> Tokens:
    parts = series.parts
    read, write = parts.get("cache_read", 0), parts.get("cache_write", 0)
    counted = parts.get("input", 0 if read or write else None)
    return Tokens(counted, parts.get("output"), read, write, input_includes_cached=not series.claude_code)


def _reading(series: Series, origin: Origin, model: str, tokens: Tokens) -> Raw:
    start, end = moment(series.start), moment(series.end)
    system = origin.system(series.attributes)
    identity = [json.dumps(each, sort_keys=True) for each in (origin.resource, series.attributes)]
    reading_id = event_id("otlp-metrics", origin.scope, *identity, series.start)
    revision = (series.end - series.start) // 1_000_000_000 if series.cumulative else 0
    data = {
        "reading_id": reading_id,
        "revision": revision,
        "system": system,
        "sku": model,
        "charge_period_start": start.isoformat(),
        "charge_period_end": max(end, start + timedelta(microseconds=1)).isoformat(),
        "consumed": tokens.meters(),
        "consumer": origin.consumer(series.attributes),
        "environment": origin.environment(series.attributes),
        "finality": "provisional" if series.cumulative else "final",
        "purpose": "telemetry",
    }
    name = (origin.source("otlp-metrics"), f"{reading_id}.{revision}")
    return origin.event("valvomo.usage.recorded.v1", name, subject=system, time=end, data=data)
