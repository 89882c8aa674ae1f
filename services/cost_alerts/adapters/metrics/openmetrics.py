"""Metrics with timestamps as OpenMetrics text: what `promtool tsdb create-blocks-from openmetrics` takes in.

Source: the OpenMetrics specification 1.0, sections "Overall structure" and "Timestamps", read on 2026-11-22.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client.core import Metric as Family
from prometheus_client.utils import floatToGoString

Labels = tuple[tuple[str, str], ...]


class TimedMetrics:
    """Families collected at several moments, told one metric after the other, each series by rising time."""

    def __init__(self) -> None:
        self._help: dict[str, str] = {}
        self._series: dict[str, dict[Labels, list[tuple[float, float]]]] = {}

    def add(self, moment: datetime, families: Iterable[Family]) -> None:
        """Add what was shown at a moment; moments rise from call to call."""
        at = moment.timestamp()
        for family in families:
            self._help[family.name] = family.documentation
            series = self._series.setdefault(family.name, {})
            for sample in family.samples:
                labels = tuple(sorted((name, value) for name, value in sample.labels.items() if value))
                series.setdefault(labels, []).append((at, sample.value))

    @property
    def points(self) -> int:
        """How many samples there are."""
        return sum(len(points) for series in self._series.values() for points in series.values())

    @property
    def series(self) -> int:
        return sum(map(len, self._series.values()))

    def lines(self) -> Iterator[str]:
        """The text, line by line."""
        for name, series in sorted(self._series.items()):
            if series:
                yield f"# TYPE {name} gauge\n"
                yield f"# HELP {name} {_escaped(self._help[name])}\n"
                for labels, points in sorted(series.items()):
                    yield from _lines(name, dict(labels), points)
        yield "# EOF\n"


def _lines(name: str, labels: Mapping[str, str], points: Iterable[tuple[float, float]]) -> Iterator[str]:
    inner = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    shown = f"{name}{{{inner}}}" if inner else name
    for at, value in points:
        yield f"{shown} {floatToGoString(value)} {at:.3f}\n"  # type: ignore[no-untyped-call]  # of the library


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
