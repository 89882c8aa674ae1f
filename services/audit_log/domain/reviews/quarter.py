"""What the auditor is told of a quarter: population, samples, deviations, and what could not be tested. Pure values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from services.audit_log.domain.reviews.indicators import LEAST_REVIEWS, Indicators
from services.audit_log.domain.reviews.sampling import order_by_seed, sample_size
from services.shared.periods import day_start

CONFIDENCE, TOLERABLE = Decimal("0.95"), Decimal("0.05")
"""Of the auditor's own sample: with no deviation found, more than 5 % is excluded with 95 % confidence. Our choice of
what audit practice calls usual."""
SILENT_AFTER = timedelta(days=2)
"""A source whose newest complete window ended so long before the quarter's end is called silent. Our choice."""


class PopulationRow(NamedTuple):
    """Outputs made in a month (Helsinki). `risk_class` empty: no policy was in force."""

    system: str
    risk_class: str
    month: str
    outputs: int
    without_hash: int


class SourceLine(NamedTuple):
    """A source that tells complete windows: until when it has told everything, as known now."""

    source: str
    complete_until: datetime
    silent: bool


class EntryLine(NamedTuple):
    """An entry that the report points to. `what`: what it says, in its own words."""

    entry: int
    at: datetime
    what: str


class PolicyLine(NamedTuple):
    """A version of the policy that was in force on a day of the quarter."""

    policy: str
    version: int
    valid_from: date
    valid_to: date | None
    approved_by: str


class SampleLine(NamedTuple):
    """A period of draws: what was fixed before it, whether its salt was told, and how many it drew."""

    period: str
    first_day: str
    last_day: str
    commitment: str
    committed_at: datetime
    committed_entry: int
    revealed_entry: int | None

    @property
    def is_late(self) -> bool:
        """Whether its period had begun before it was fixed: until then somebody could have foreseen the draw."""
        return self.committed_at >= day_start(date.fromisoformat(self.first_day))


class DrawnLine(NamedTuple):
    """Outputs of a system and class of which a review was demanded, by why it was."""

    system: str
    risk_class: str
    by_class: int
    by_sample: int
    by_top_up: int
    second: int


class DeviationRow(NamedTuple):
    """Findings of a kind: opened in the quarter, closed in it, and open at its end (or now, while it lasts)."""

    kind: str
    opened: int
    closed: int
    open_at_end: int


class ShareRow(NamedTuple):
    """Of the outputs of a use case in a unit whose review fell due in the quarter. Shares are of those in time."""

    unit: str
    use_case: str
    risk_class: str
    due: int
    in_time: int
    late: int
    missing: int
    low: float
    high: float


class IncidentLine(NamedTuple):
    """An incident that the city became aware of in the quarter."""

    incident: str
    kind: str
    unit: str
    aware_at: datetime
    clocks_late: int
    closed: bool
    opened_entry: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """How the log stands. Sizes are numbers of entries; `signed_in_quarter`: entries that were signed in it."""

    size: int
    signed: int | None
    signed_at: datetime | None
    signed_in_quarter: int
    anchors: int
    anchors_well: int
    anchored_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditSample:
    """What an auditor may test: drawn by the root of the first checkpoint after the quarter, so nobody could choose it.

    Ordered by SHA-256 of root and id. None of the seed's members: no checkpoint was signed since, so nothing is drawn.
    """

    population: int
    seed: str | None = None
    checkpoint_size: int | None = None
    signed_at: datetime | None = None
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted by looking into each output of the quarter."""

    drawn: Sequence[DrawnLine]
    late_news: int
    """Outputs that the log was told of over a day after they were made."""
    by_claimed_time: int
    """Reviews that were judged by their source's times, although their news came late."""
    reviews: int


UntestedReason = Literal[
    "quarter_runs", "no_checkpoint", "gaps", "dead_letters", "silent_sources", "without_hash", "unverifiable_uses",
    "classes_without_rule", "without_policy", "salts_unrevealed", "fixed_late", "no_draw_fixed", "few_due",
    "hidden_teams", "few_reviews", "entries_cut",
]  # fmt: skip


class Untested(NamedTuple):
    """Something that the report cannot vouch for: how many, and which."""

    reason: UntestedReason
    number: int
    which: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuarterReport:
    """All of it. Lists are complete, but for entries, of which `entries_cut` kinds had more than are listed."""

    quarter: str
    first_day: date
    last_day: date
    made_at: datetime
    is_over: bool
    log: LogLine
    population: Sequence[PopulationRow]
    states: Sequence[tuple[str, int]]
    sources: Sequence[SourceLine]
    gaps: Sequence[EntryLine]
    dead_letters: Sequence[EntryLine]
    policies: Sequence[PolicyLine]
    classes_without_rule: Sequence[str]
    samples: Sequence[SampleLine]
    draws: Sequence[EntryLine]
    deviations: Sequence[DeviationRow]
    shares: Sequence[ShareRow]
    counted: Counted
    indicators: Indicators
    incidents: Sequence[IncidentLine]
    roles: Sequence[EntryLine]
    policy_changes: Sequence[EntryLine]
    log_events: Sequence[EntryLine]
    sample: AuditSample
    samples_needed: bool = False
    """Whether a policy of the quarter draws samples at all."""
    entries_cut: Sequence[str] = ()

    @property
    def outputs(self) -> int:
        return sum(row.outputs for row in self.population)

    @property
    def untested(self) -> list[Untested]:
        """What could not be tested, and why."""
        return untested(self)

    @property
    def mapping(self) -> "list[MappingRow]":
        """Which article or control a count serves."""
        return [MappingRow(*control, counter(self)) for control, counter in _MAPPING]

    def deviation(self, *kinds: str) -> int:
        """Findings of these kinds that were opened in the quarter."""
        return sum(row.opened for row in self.deviations if row.kind in kinds)


def untested(report: QuarterReport) -> list[Untested]:
    """What could not be tested; nothing is left out because there is none of it in the log."""
    silent = tuple(line.source for line in report.sources if line.silent)
    unrevealed = tuple(line.period for line in report.samples if line.revealed_entry is None)
    late = tuple(line.period for line in report.samples if line.is_late)
    few = tuple(f"{row.unit} {row.use_case}".strip() for row in report.shares if row.due < LEAST_REVIEWS)
    found: list[Untested] = [
        Untested("quarter_runs", int(not report.is_over)),
        Untested("no_checkpoint", int(report.sample.seed is None)),
        Untested("gaps", len(report.gaps), tuple(line.what for line in report.gaps)),
        Untested("dead_letters", len(report.dead_letters)),
        Untested("silent_sources", len(silent), silent),
        Untested("without_hash", sum(row.without_hash for row in report.population)),
        Untested("unverifiable_uses", report.deviation("unverifiable_use")),
        Untested("classes_without_rule", len(report.classes_without_rule), tuple(report.classes_without_rule)),
        Untested("without_policy", sum(row.outputs for row in report.population if not row.risk_class)),
        Untested("salts_unrevealed", len(unrevealed), unrevealed),
        Untested("fixed_late", len(late), late),
        Untested("no_draw_fixed", int(report.samples_needed and not report.samples)),
        Untested("few_due", len(few), few),
        Untested("hidden_teams", report.indicators.hidden),
        Untested("few_reviews", int(report.counted.reviews < LEAST_REVIEWS)),
        Untested("entries_cut", len(report.entries_cut), tuple(report.entries_cut)),
    ]
    return [one for one in found if one.number]


def audit_sample(output_ids: Sequence[str], root: bytes, checkpoint_size: int, signed_at: datetime) -> AuditSample:
    """Draw the auditor's sample from the outputs of a quarter whose review was demanded."""
    population = len(output_ids)
    if not population:
        return AuditSample(0, root.hex(), checkpoint_size, signed_at)
    size = sample_size(CONFIDENCE, TOLERABLE, population=population)
    chosen = order_by_seed(output_ids, root)[:size]
    return AuditSample(population, root.hex(), checkpoint_size, signed_at, tuple(chosen))


class MappingRow(NamedTuple):
    """A rule, what of it is shown here (the name of a text), the question that gives the count, and the count."""

    framework: str
    article: str
    control: str
    query: str
    number: int


_Control = tuple[str, str, str, str]
_SHARES, _FINDINGS = "/api/v1/governance/shares", "/api/v1/findings?state=all&kind="


def _due(report: QuarterReport) -> int:
    return sum(row.due for row in report.shares)


def _due_of(risk_class: str) -> Callable[[QuarterReport], int]:
    return lambda report: sum(row.due for row in report.shares if row.risk_class == risk_class)


def _opened(*kinds: str) -> Callable[[QuarterReport], int]:
    return lambda report: report.deviation(*kinds)


def _incidents(report: QuarterReport) -> int:
    return len(report.incidents)


_MAPPING: Sequence[tuple[_Control, Callable[[QuarterReport], int]]] = (
    (("AI Act", "4", "literacy", _FINDINGS + "reviewer_not_trained"), _opened("reviewer_not_trained")),
    (("AI Act", "5", "prohibited", _FINDINGS + "prohibited_use"), _opened("prohibited_use")),
    (("AI Act", "14, 26(2)", "oversight", _SHARES), _due),
    (("AI Act", "26(2)", "mandate", _FINDINGS + "reviewer_not_mandated"), _opened("reviewer_not_mandated")),
    (("AI Act", "26(5), 73", "incidents", "/api/v1/incidents"), _incidents),
    (("AI Act", "26(5)", "suspended", _FINDINGS + "use_while_suspended"), _opened("use_while_suspended")),
    (("AI Act", "19, 26(6)", "logs", "/api/v1/log/entries"), lambda report: report.log.signed_in_quarter),
    (("AI Act", "26(8), 27, 49", "records", _FINDINGS + "record_missing"), _opened("record_missing")),
    (("AI Act", "50(4)", "public_text", _SHARES), _due_of("public_text")),
    (("Hallintolaki", "53 e §", "decisions", _FINDINGS + "used_unreviewed"), _opened("used_unreviewed")),
    (("ISO/IEC 42001", "A.3.2", "roles", "/api/v1/log/entries?type=valvomo.role.changed.v1"),
     lambda report: len(report.roles)),
    (("ISO/IEC 42001", "A.6.2.8", "logs", "/api/v1/log/entries"), lambda report: report.log.signed_in_quarter),
    (("ISO/IEC 42001", "A.8.4", "incidents", "/api/v1/incidents"), _incidents),
    (("ISO/IEC 42001", "A.9.2", "oversight", _SHARES), _due),
    (("ISO/IEC 42001", "9.1, 10.2", "deviations", "/api/v1/findings?state=all"),
     lambda report: sum(row.opened for row in report.deviations)),
    (("NIST AI RMF", "GOVERN 1.6", "inventory", _FINDINGS + "uncovered_use"), _opened("uncovered_use")),
    (("NIST AI RMF", "MAP 3.5", "oversight", _SHARES), _due),
    (("NIST AI RMF", "MANAGE 4.3", "incidents", "/api/v1/incidents"), _incidents),
)  # fmt: skip
CONTROLS: tuple[str, ...] = tuple(sorted({control for (_, _, control, _), _ in _MAPPING}))
"""What the counts show, by the names of their texts."""


def deviations(
    opened: Mapping[str, int], closed: Mapping[str, int], open_at_end: Mapping[str, int]
) -> list[DeviationRow]:
    """Counts by kind, put together."""
    kinds = sorted({*opened, *closed, *open_at_end})
    return [DeviationRow(kind, opened.get(kind, 0), closed.get(kind, 0), open_at_end.get(kind, 0)) for kind in kinds]
