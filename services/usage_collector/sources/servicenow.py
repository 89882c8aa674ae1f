"""ServiceNow Now Assist: assists drawn, and what people did with the outputs, through the Table API.

Sources, read 2026-11-21: ServiceNowDocs "generative-ai-controller-tables" (fields by label), "c_TableAPI" (mechanics).
Only ids, counts and choices are asked for; prompts, answers and edited texts stay where they are.

Two tables, two sources: another role opens each, and one that is refused must not stop the other.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, Field

from services.shared.errors import SourceChangedError, SourceRejectedError
from services.shared.events import event_id
from services.shared.events.governance import Output, Review
from services.shared.events.usage import Consumer, Finality, Reading
from services.shared.periods import Period
from services.usage_collector.source import (
    Cursor,
    Fetch,
    Page,
    Rereading,
    VendorAnswer,
    VendorFact,
    Who,
    pages,
    read_json,
)

SYSTEM = "servicenow-now-assist"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# Rows are seen minutes late and change while they are pending; feedback comes days later. The log is kept 180 days.
WINDOWS = Rereading(step=MINUTE, overlap=DAY, revisable=30 * DAY, longest=7 * DAY, history=180 * DAY)
LIMIT = 1_000
DONE = frozenset({"completed", "success"})

DECISIONS = {
    "accepted": ("approved", "explicit_accept"),
    "rejected": ("rejected", "explicit_accept"),
    "slightlypositive": ("approved", "thumb"),
    "slightlynegative": ("rejected", "thumb"),
    "likelypositive": ("approved", "thumb"),  # who says so is not documented: weak, and for the policy to judge
    "ignored": ("abstained", "none"),
}
"""Feedback → decision, and how it is known (platforms: evidence is graded, the city's policy says what counts)."""

T = TypeVar("T", bound="Row")


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise ValueError("a time is written YYYY-MM-DD HH:MM:SS, UTC")  # noqa: TRY004  # pydantic collects ValueError
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _count(text: object) -> int:
    if isinstance(text, str) and text.isascii() and text.isdigit():
        return int(text)
    if type(text) is int:
        return text
    raise ValueError("a number is written in digits")


Moment = Annotated[datetime, BeforeValidator(_moment)]
MaybeMoment = Annotated[datetime | None, BeforeValidator(lambda text: None if text == "" else _moment(text))]
Count = Annotated[int, BeforeValidator(_count), Field(ge=0)]


class Row(VendorAnswer):
    table: ClassVar[str] = ""
    sys_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    sys_created_on: Moment


class UsageRow(Row):
    table: ClassVar[str] = "sys_gen_ai_usage_log"
    assists: Count
    trial_assists: Count  # counted, not billed
    status: str
    execution_type: str  # empty: real use; else Test, Evaluation, Auto Prompt Tuning
    feature: str
    skill_config_id: str
    user: str  # empty: the system itself
    plugin_name: str
    document_table: str


class LogRow(Row):
    table: ClassVar[str] = "sys_generative_ai_log"
    gen_ai_usage_log: str
    feedback: str
    feedback_timestamp: MaybeMoment
    additional_data: str  # what the person did: copied, edited
    status: str

    @property
    def edited(self) -> bool:
        return "edited" in {word.strip().lower() for word in self.additional_data.split(",")}


class ServiceNowUsage:
    """Assists, one reading per row of the usage log."""

    name = "servicenow"
    event_source = "servicenow/usage"
    system = SYSTEM

    def __init__(self, who: Who, *, environment: str) -> None:
        self._who = who
        self._environment = environment

    def poll(self, fetch: Fetch, cursor: Cursor, until: datetime) -> Page:
        return _poll(fetch, cursor, until, UsageRow, self._readings)

    def rewind(self, cursor: Cursor, since: datetime) -> Cursor:
        return WINDOWS.rewind(cursor, since)

    def _readings(self, rows: Sequence[UsageRow]) -> list[VendorFact]:
        who = self._who({(row.user,) for row in rows if row.user})
        return [self._reading(row, who[(row.user,)] if row.user else None) for row in rows]

    def _reading(self, row: UsageRow, person: str | None) -> Reading:
        tags = {"skill": row.skill_config_id, "feature": row.feature, "document_table": row.document_table}
        return Reading(
            reading_id=_reading_id(row.sys_id),
            system=SYSTEM,
            sku=row.plugin_name or "unknown",
            charge_period_start=row.sys_created_on,
            charge_period_end=row.sys_created_on + timedelta(seconds=1),
            consumed={"assists": Decimal(max(0, row.assists - row.trial_assists))},
            consumer=Consumer(person=person, tags={name: value for name, value in tags.items() if value}),
            # Tests and evaluations draw assists from the same pool: they are paid, and told apart.
            environment=row.execution_type.lower() or self._environment,
            finality=_finality(row.status),
        )


class ServiceNowReviews:
    """Outputs and the evidence of their review, from the generative AI log."""

    name = "servicenow_reviews"
    event_source = "servicenow/reviews"
    system = SYSTEM

    def __init__(self, *, environment: str) -> None:
        self._environment = environment

    def poll(self, fetch: Fetch, cursor: Cursor, until: datetime) -> Page:
        def facts(rows: Sequence[LogRow]) -> list[VendorFact]:
            return [fact for row in rows if row.status.lower() != "error" for fact in self._facts(row, until)]

        return _poll(fetch, cursor, until, LogRow, facts)

    def rewind(self, cursor: Cursor, since: datetime) -> Cursor:
        return WINDOWS.rewind(cursor, since)

    def _facts(self, row: LogRow, until: datetime) -> Iterator[VendorFact]:
        output_id = f"servicenow:{row.sys_id}"
        yield Output(
            output_id=output_id,
            system=SYSTEM,
            generated_at=row.sys_created_on,
            reading_id=_reading_id(row.gen_ai_usage_log) if row.gen_ai_usage_log else None,
            environment=self._environment,
        )
        if (verdict := verdict_of(row)) is not None:
            decision, evidence = verdict
            yield Review(
                # Another verdict on the same output is another review.
                review_id=event_id("servicenow review", row.sys_id, decision, evidence, str(row.feedback_timestamp)),
                output_id=output_id,
                decided_at=row.feedback_timestamp or until,
                decision=decision,  # type: ignore[arg-type]  # one of the literals in DECISIONS
                evidence=evidence,  # type: ignore[arg-type]
                system=SYSTEM,
                made_in="vendor",
            )


def verdict_of(row: LogRow) -> tuple[str, str] | None:
    """Decision and grade of evidence; None when nobody did anything that can be seen.

    An edited text that was then accepted counts as edited, known by the acceptance.

    Raises:
        SourceChangedError: a feedback of an unknown kind: a person must say what it means.
    """
    said = row.feedback.replace(" ", "").lower()
    if said and said not in DECISIONS:
        raise SourceChangedError(
            f"servicenow: column feedback holds an unknown choice; known are {', '.join(DECISIONS)}"
        )
    decision, evidence = DECISIONS.get(said, ("", ""))
    if row.edited and decision in {"", "approved", "abstained"}:
        return "edited", evidence if evidence == "explicit_accept" else "edited"
    return (decision, evidence) if decision else None


def _finality(status: str) -> Finality:
    if status.lower() == "pending":
        return "estimate"
    return "final" if status.lower() in DONE else "provisional"


def _reading_id(sys_id: str) -> str:
    return f"{UsageRow.table}/{sys_id}"


def _poll(
    fetch: Fetch, cursor: Cursor, until: datetime, model: type[T], facts: Callable[[Sequence[T]], list[VendorFact]]
) -> Page:
    found = WINDOWS.window(cursor, until)
    if found is None:
        return Page((), cursor)
    window, deep = found
    rows = _rows(fetch, window, model)
    if not rows and not cursor.get("seen"):
        _check_access(fetch, model)
    following, more = WINDOWS.after(cursor, window, until, deep=deep)
    return Page(facts(rows), following | ({"seen": True} if rows else {}), more, window)


def _rows(fetch: Fetch, window: Period, model: type[T]) -> list[T]:
    """All rows created in `window`. Pages begin at the last time seen, since offsets into a growing table slip."""
    found: dict[str, T] = {}

    def read(place: str | None) -> tuple[Sequence[T], str | None]:
        start, _, skip = (place or f"{_text(window.start)}|0").partition("|")
        rows = _page(fetch, model, start, _text(window.end), skip)
        return rows, _next_place(rows, start, int(skip)) if len(rows) >= LIMIT else None

    for rows in pages(read, model.table):
        for row in rows:
            if row.sys_created_on not in window:
                raise SourceChangedError(
                    f"servicenow: found a row of {model.table} outside the time asked for; expected the filter to hold"
                )
        if len(rows) >= LIMIT and all(row.sys_id in found for row in rows):
            raise SourceChangedError(f"servicenow: a page of {model.table} came back; expected the rows after it")
        found |= {row.sys_id: row for row in rows}
    return list(found.values())


def _page(fetch: Fetch, model: type[T], start: str, end: str, skip: str) -> Sequence[T]:
    question = [
        ("sysparm_query", f"sys_created_on>={start}^sys_created_on<{end}^ORDERBYsys_created_on^ORDERBYsys_id"),
        *_columns(model),
        ("sysparm_limit", str(LIMIT)),
        ("sysparm_offset", skip),
    ]
    return [model.model_validate(row) for row in _result(fetch, model, question)]


def _next_place(rows: Sequence[Row], start: str, skip: int) -> str:
    """The last second seen and how many of its rows were: also a second with more rows than a page has an end."""
    last = _text(rows[-1].sys_created_on)
    seen = sum(1 for row in rows if _text(row.sys_created_on) == last)
    return f"{last}|{seen + skip if last == start else seen}"


def _check_access(fetch: Fetch, model: type[T]) -> None:
    """Tell "no access" from "no use": a missing role takes rows away without a word.

    Raises:
        SourceRejectedError: not one row of the table can be seen, of any time.
    """
    if not _result(fetch, model, [*_columns(model), ("sysparm_limit", "1")]):
        table = model.table
        raise SourceRejectedError(
            f"servicenow: not one row of {table} can be seen, of any time. Give the collector a role that reads it"
        )


def _columns(model: type[T]) -> list[tuple[str, str]]:
    return [("sysparm_fields", ",".join(model.model_fields)), ("sysparm_exclude_reference_link", "true")]


def _result(fetch: Fetch, model: type[T], question: Sequence[tuple[str, str]]) -> list[Any]:
    document = read_json(fetch.get(f"/api/now/table/{model.table}", question), "servicenow")
    rows = document.get("result") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise SourceChangedError("servicenow: the answer has no list under `result`")
    return rows


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
