"""The quarter's report as JSON, and what its page adds to it: sums, groups, shares in words. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from services.audit_log.domain.reviews.indicators import NAMES, Share
from services.audit_log.domain.reviews.quarter import DrawnLine, PopulationRow, QuarterReport
from services.shared.periods import timestamp


def as_document(report: QuarterReport) -> dict[str, Any]:
    """The whole report for programs; shares and seconds with four decimals."""
    members: dict[str, Any] = plain(report)
    return {**members, "untested": plain(report.untested), "mapping": plain(report.mapping)}


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911  # what JSON can say
    """A value of the report as JSON has it."""
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(one) for name, one in value._asdict().items()}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


class SystemLine(NamedTuple):
    """Outputs of a system and class, month by month."""

    system: str
    risk_class: str
    months: Sequence[int]
    total: int
    without_hash: int


@dataclass(frozen=True, slots=True)
class ReportPage:
    """What the template asks for besides the report."""

    report: QuarterReport
    names: tuple[str, ...] = NAMES

    @property
    def months(self) -> Sequence[str]:
        return sorted({row.month for row in self.report.population})

    @property
    def systems(self) -> Sequence[SystemLine]:
        found: defaultdict[tuple[str, str], dict[str, PopulationRow]] = defaultdict(dict)
        for row in self.report.population:
            found[row.system, row.risk_class][row.month] = row
        return [
            SystemLine(
                *key,
                [rows[month].outputs if month in rows else 0 for month in self.months],
                sum(row.outputs for row in rows.values()),
                sum(row.without_hash for row in rows.values()),
            )
            for key, rows in sorted(found.items())
        ]

    @property
    def due(self) -> int:
        return sum(row.due for row in self.report.shares)

    @property
    def opened(self) -> int:
        return sum(row.opened for row in self.report.deviations)

    @property
    def open_at_end(self) -> int:
        return sum(row.open_at_end for row in self.report.deviations)

    @staticmethod
    def drawn(line: DrawnLine) -> int:
        """Outputs of which a first review was demanded."""
        return line.by_class + line.by_sample + line.by_top_up

    @staticmethod
    def decimal(value: float) -> Decimal:
        """With two decimals, for the eye."""
        return Decimal(f"{value:.2f}")

    @staticmethod
    def rate(share: Share) -> float:
        return share.count / share.of
