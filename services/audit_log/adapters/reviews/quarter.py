"""Reads the quarter's report out of the log: tables where they tell it, the outputs one by one where only they do."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, case, func, literal, select, tuple_

from services.audit_log.adapters.ai_register.incident_files import list_incidents
from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.indexing import read_told
from services.audit_log.adapters.reviews.cases import read_rulebook
from services.audit_log.adapters.reviews.quarter_cases import CaseLine, Counts
from services.audit_log.adapters.reviews.shares import review_shares
from services.audit_log.adapters.search import bodies_of, find, find_all
from services.audit_log.adapters.standing import read_standing
from services.audit_log.adapters.tables import case_file, checkpoint, finding, sample_period
from services.audit_log.domain.ai_register.incidents import IncidentFile, clocks
from services.audit_log.domain.reviews.indicators import indicators
from services.audit_log.domain.reviews.quarter import (
    SILENT_AFTER,
    AuditSample,
    DeviationRow,
    EntryLine,
    IncidentLine,
    LogLine,
    PolicyLine,
    PopulationRow,
    QuarterReport,
    SampleLine,
    ShareRow,
    SourceLine,
    audit_sample,
    deviations,
)
from services.audit_log.domain.reviews.sampling import SamplePeriod, draws
from services.audit_log.domain.reviews.statistics import wilson
from services.audit_log.domain.search import Filter, Told
from services.shared.events.outcomes import FindingClosing
from services.shared.events.register import Policy
from services.shared.periods import Month, Period, day_start
from services.shared.store import chunks
from services.shared.store.tables import UtcMicros
from services.shared.tlog.checkpoint import parse_checkpoint
from services.shared.tlog.note import parse_note

MOST_ENTRIES = 2_000
"""Entries of one kind that are listed, at most."""

_AT_ONCE = 1_000
_Progress = Callable[[int, int | None], None]

_ROLES = ("valvomo.role.changed.v1",)
_POLICIES = ("valvomo.policy.published.v1",)
_LOG_EVENTS = (
    "valvomo.log.exported.v1", "valvomo.log.hold_placed.v1", "valvomo.log.hold_released.v1", "valvomo.log.pruned.v1",
    "valvomo.log.restored.v1", "valvomo.log.succeeded.v1", "valvomo.log.key_changed.v1", "valvomo.anchor.refused.v1",
)  # fmt: skip


class Quarter:
    """One quarter of one log, at a moment.

    Args:
        connection: to the log's database, reading.
        period: the quarter.
        now: when the report is made.
    """

    def __init__(self, connection: Connection, period: SamplePeriod, now: datetime) -> None:
        self._connection, self._now = connection, now
        self.named = period
        self.period = Period(day_start(period.first_day), period.end)
        self.cut: list[str] = []

    def outputs(self) -> int:
        """How many outputs were made in it."""
        count: int = self._connection.execute(
            select(func.count()).select_from(case_file).where(*self._made())
        ).scalar_one()
        return count

    def _made(self) -> list[Any]:
        return [case_file.c.generated_at >= self.period.start, case_file.c.generated_at < self.period.end]

    def population(self) -> list[PopulationRow]:
        """Outputs by system, class and month."""
        ends = [(case_file.c.generated_at < month.period.end, str(month)) for month in self.months()[:-1]]
        month = case(*ends, else_=str(self.months()[-1])).label("month")
        hashless = func.sum(case((case_file.c.content_hash.is_(None), 1), else_=0))
        columns = (case_file.c.system, case_file.c.risk_class, month)
        query = select(*columns, func.count(), hashless).where(*self._made()).group_by(*columns).order_by(*columns)
        return [PopulationRow(*row) for row in self._connection.execute(query)]

    def months(self) -> list[Month]:
        """Its three months."""
        first = Month.of(self.named.first_day)
        return [first, first.next, first.next.next]

    def states(self) -> list[tuple[str, int]]:
        """Outputs made in the quarter by what they are now; all of them are here once."""
        query = select(case_file.c.state, func.count()).where(*self._made()).group_by(case_file.c.state)
        counted = Counter[str]()
        for state, count in self._connection.execute(query):
            counted[state or "generated"] += count
        return sorted(counted.items())

    def shares(self) -> list[ShareRow]:
        """Of what fell due in the quarter, by unit, use case and class."""
        found: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        for one in review_shares(self._connection, self.months(), self._now):
            for place, number in enumerate((one.in_time, one.late, one.missing)):
                found[one.unit, one.use_case, one.risk_class][place] += number
        return [_share(*key, *some) for key, some in sorted(found.items())]

    def deviations(self) -> list[DeviationRow]:
        """Findings by kind. When one was closed stands in its closing."""
        opened, closed, still = Counter[str](), Counter[str](), Counter[str]()
        query = select(finding.c.kind, finding.c.detected_at, finding.c.closed).where(
            finding.c.detected_at < self.period.end
        )
        for kind, detected_at, closing in self._connection.execute(query):
            closed_at = FindingClosing.model_validate_json(closing).closed_at if closing else None
            opened[kind] += detected_at >= self.period.start
            closed[kind] += closed_at is not None and closed_at in self.period
            still[kind] += closed_at is None or closed_at >= self.period.end
        return [row for row in deviations(opened, closed, still) if row.opened or row.closed or row.open_at_end]

    def policies(self) -> list[Policy]:
        """The versions in force on a day of the quarter."""
        return [
            policy
            for policy in read_rulebook(self._connection).policies
            if policy.valid_from <= self.named.last_day
            and (policy.valid_to is None or policy.valid_to > self.named.first_day)
        ]

    def samples(self) -> list[SampleLine]:
        """The periods of draws that overlap the quarter."""
        overlapping = (sample_period.c.first_day <= self.named.last_day.isoformat()) & (
            sample_period.c.last_day >= self.named.first_day.isoformat()
        )
        rows = self._connection.execute(select(sample_period).where(overlapping).order_by(sample_period.c.period))
        return [
            SampleLine(row.period, row.first_day, row.last_day, row.commitment, row.committed_at, row.committed_seq,
                       row.revealed_seq)
            for row in rows
        ]  # fmt: skip

    def incidents(self) -> list[IncidentLine]:
        """Those the city became aware of in the quarter."""
        files = [one for one in list_incidents(self._connection) if one.incident.aware_at in self.period]
        return [_incident(one, self._now) for one in reversed(files)]

    def entries(self, types: Sequence[str], tell: Callable[[Told], str]) -> list[EntryLine]:
        """The entries of these types that the bus took in the quarter; `MOST_ENTRIES` of each type at most."""
        lines = [line for kind in types for line in self._entries(kind, tell)]
        return sorted(lines)

    def _entries(self, kind: str, tell: Callable[[Told], str]) -> Iterator[EntryLine]:
        wanted = Filter(type=kind, since=self.period.start, until=self.period.end)
        size = read_frontier(self._connection).size
        indexes = list(islice(find_all(self._connection, wanted, size), MOST_ENTRIES + 1))
        if len(indexes) > MOST_ENTRIES:
            self.cut.append(kind)
        for some in chunks(indexes[:MOST_ENTRIES], _AT_ONCE):
            for index, body in bodies_of(self._connection, some).items():
                told = read_told(body)
                if told is not None:
                    yield EntryLine(index, told.ingest_time, tell(told))

    def sources(self) -> list[SourceLine]:
        """Sources by the newest window that each of them told wholly, among the newest windows of the quarter."""
        newest: dict[str, datetime] = {}
        for told in self._windows():
            data = told.event["data"]
            end = datetime.fromisoformat(data["window_end"])
            newest[data["source_name"]] = max(end, newest.get(data["source_name"], end))
        expected = min(self.period.end, self._now) - SILENT_AFTER
        return [SourceLine(source, end, end < expected) for source, end in sorted(newest.items())]

    def _windows(self) -> Iterator[Told]:
        wanted = Filter(type="valvomo.collection.completed.v1", since=self.period.start, until=self.period.end)
        rest: tuple[int, int] | None = (-1, read_frontier(self._connection).size)
        left = MOST_ENTRIES
        while rest and left > 0:
            page = find(
                self._connection, wanted, after=rest[0], before=rest[1], limit=min(left, _AT_ONCE), newest_first=True
            )
            for body in bodies_of(self._connection, page.indexes).values():
                told = read_told(body)
                if told is not None:
                    yield told
            rest, left = page.next, left - len(page.indexes)

    def log(self) -> LogLine:
        """How the log stands now, and how much of it was signed in the quarter."""
        standing = read_standing(self._connection)
        before, until = (self._signed_before(moment) for moment in (self.period.start, self.period.end))
        return LogLine(
            standing.size, standing.signed, standing.signed_at, until - before, standing.anchors, standing.anchors_well,
            standing.anchored_at,
        )  # fmt: skip

    def _signed_before(self, moment: datetime) -> int:
        query = select(func.max(checkpoint.c.size)).where(checkpoint.c.signed_at < moment)
        return self._connection.execute(query).scalar() or 0

    def sample(self) -> AuditSample:
        """The auditor's own sample of the outputs whose review was demanded."""
        demanded = [*self._made(), case_file.c.due_at.is_not(None)]
        after = (
            select(checkpoint.c.note, checkpoint.c.signed_at)
            .where(checkpoint.c.signed_at >= self.period.end)
            .order_by(checkpoint.c.size)
            .limit(1)
        )
        first = self._connection.execute(after).first()
        if first is None:
            query = select(func.count()).select_from(case_file).where(*demanded)
            return AuditSample(self._connection.execute(query).scalar_one())
        names = self._connection.execute(select(case_file.c.output_id).where(*demanded)).scalars().all()
        signed = parse_checkpoint(parse_note(first.note).text)
        return audit_sample(names, signed.root, signed.size, first.signed_at)

    def cases(self, progress: _Progress) -> Iterator[CaseLine]:
        """Every output made in the quarter, in the order in which they were made."""
        total, done = self.outputs(), 0
        made, name = case_file.c.generated_at, case_file.c.output_id
        after = self.period.start, ""
        while True:
            place = tuple_(literal(after[0], UtcMicros()), literal(after[1]))
            query = (
                select(made, name, case_file.c.document)
                .where(made < self.period.end, tuple_(made, name) > place)
                .order_by(made, name)
                .limit(_AT_ONCE)
            )
            rows = self._connection.execute(query).all()
            if not rows:
                return
            after, done = (rows[-1].generated_at, rows[-1].output_id), done + len(rows)
            yield from (CaseLine.model_validate_json(row.document) for row in rows)
            progress(done, total)


def read_quarter(
    connection: Connection, period: SamplePeriod, now: datetime, progress: _Progress = lambda _done, _total: None
) -> QuarterReport:
    """The report of a quarter. `progress` is told (outputs looked into, outputs in all)."""
    quarter = Quarter(connection, period, now)
    counts = Counts()
    for found in quarter.cases(progress):
        counts.add(found)
    population, policies = quarter.population(), quarter.policies()
    return QuarterReport(
        quarter=period.name,
        first_day=period.first_day,
        last_day=period.last_day,
        made_at=now,
        is_over=now >= period.end,
        log=quarter.log(),
        population=population,
        states=quarter.states(),
        sources=quarter.sources(),
        gaps=quarter.entries(["valvomo.collection.gap_found.v1"], _gap),
        dead_letters=quarter.entries(["valvomo.record.dead_lettered.v1"], _dead_letter),
        policies=[PolicyLine(one.id, one.version, one.valid_from, one.valid_to, one.approved_by) for one in policies],
        classes_without_rule=sorted({row.risk_class for row in population} - _ruled(policies) - {""}),
        samples=quarter.samples(),
        draws=quarter.entries(["valvomo.ai.sample.drawn.v1"], _draw),
        deviations=quarter.deviations(),
        shares=quarter.shares(),
        counted=counts.counted(),
        indicators=indicators(counts.reviews),
        incidents=quarter.incidents(),
        roles=quarter.entries(_ROLES, _role),
        policy_changes=quarter.entries(_POLICIES, _policy),
        log_events=quarter.entries(_LOG_EVENTS, _type),
        sample=quarter.sample(),
        samples_needed=any(draws(rule) for policy in policies for rule in policy.rules),
        entries_cut=tuple(quarter.cut),
    )


def _share(unit: str, use_case: str, risk_class: str, *counted: int) -> ShareRow:
    in_time, late, missing = counted
    low, high = wilson(in_time, sum(counted))
    return ShareRow(unit, use_case, risk_class, sum(counted), in_time, late, missing, low, high)


def _ruled(policies: Sequence[Policy]) -> set[str]:
    return {rule.risk_class for policy in policies for rule in policy.rules}


def _incident(file: IncidentFile, now: datetime) -> IncidentLine:
    known, late = file.incident, sum(clock.is_late for clock in clocks(file, now))
    closed = file.end is not None
    return IncidentLine(known.incident_id, known.kind, known.unit, known.aware_at, late, closed, file.opened_seq)


def _gap(told: Told) -> str:
    data = told.event["data"]
    return f"{data['source_name']} {data['first_day']} – {data['last_day']}"


def _dead_letter(told: Told) -> str:
    data = told.event["data"]
    return f"{data['topic']}/{data['partition']}/{data['offset']}: {data['reason']}"


def _draw(told: Told) -> str:
    data = told.event["data"]
    drawn = data["drawn_by_hash"] + len(data["output_ids"])
    return f"{data['period']} {data['system']} {data['risk_class']}: {drawn} / {data['population']}"


def _role(told: Told) -> str:
    data = told.event["data"]
    return f"{data['change']} {data['role']} {data['unit'] or '*'}"


def _policy(told: Told) -> str:
    fact = told.event["data"]["fact"]
    return (
        f"{told.event['data']['fact_id']}" if fact is None else f"{fact['id']} {fact['version']}: {fact['approved_by']}"
    )


def _type(told: Told) -> str:
    return str(told.event["type"])
