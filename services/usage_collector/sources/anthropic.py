"""Claude by Anthropic: tokens per day, from the Usage and Cost Analytics API or the legacy usage report.

Sources, read 2026-11-21: platform.claude.com/docs/en/manage-claude/usage-cost-api (legacy report), types
`BetaAnalyticsUsageItem` and `BetaAnalyticsCostItem` of the vendor's Python SDK 2.12.0 (analytics, beta).

`account` is the workspace id. The legacy report leaves the default workspace's id out (null): with the setting
`anthropic_default_workspace` both interfaces give that id, without it the legacy one says `default`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import Field

from services.shared.errors import SourceChangedError
from services.shared.events import event_id
from services.shared.events.envelope import Utc
from services.shared.events.usage import Consumer, Cost, Reading
from services.shared.money import EXACT, ExactDecimal
from services.shared.periods import Period, timestamp
from services.usage_collector.source import (
    Cursor,
    Fetch,
    Identity,
    Page,
    Query,
    Rereading,
    VendorAnswer,
    Who,
    days_of,
    pages,
    read_json,
)

BETA = {"anthropic-beta": "analytics-usage-cost-2026-08-24"}
DAY = timedelta(days=1)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = Rereading(
    step=DAY, overlap=3 * DAY, revisable=31 * DAY, longest=31 * DAY, history=365 * DAY, earliest=BEGINNING
)
FINAL_AFTER = 30 * DAY
"""The vendor may revise a day's values for so long; then the reading is final."""

# At most five groups are allowed: all that a price depends on, and who it was. A key of a workspace is not told then.
GROUPS = {
    "console": ("workspace_id", "model", "service_tier", "context_window", "inference_geo"),
    "enterprise": ("actor", "product", "model", "context_window", "inference_geo"),
}
LEGACY_GROUPS = ("workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo")

T = TypeVar("T", bound="Item")
Count = Annotated[int, Field(ge=0)]
Moment = Annotated[Utc, Field(strict=False)]


class CacheCreation(VendorAnswer):
    ephemeral_5m_input_tokens: Count
    ephemeral_1h_input_tokens: Count


class ServerTools(VendorAnswer):
    web_search_requests: Count


class Tokens(VendorAnswer):
    uncached_input_tokens: Count  # neither read from a cache nor written to one
    cache_creation: CacheCreation
    cache_read_input_tokens: Count
    output_tokens: Count
    server_tool_use: ServerTools

    def consumed(self) -> dict[str, Decimal]:
        """Meter → quantity, without zeros; every token once."""
        found = {
            "input_tokens": self.uncached_input_tokens,
            "cache_write_5m_tokens": self.cache_creation.ephemeral_5m_input_tokens,
            "cache_write_1h_tokens": self.cache_creation.ephemeral_1h_input_tokens,
            "cache_read_tokens": self.cache_read_input_tokens,
            "output_tokens": self.output_tokens,
            "web_searches": self.server_tool_use.web_search_requests,
        }
        return {meter: Decimal(count) for meter, count in found.items() if count}


class Actor(VendorAnswer):
    type: str
    user_id: str | None = None
    email_address: str | None = None  # null when the user was deleted
    service_account_id: str | None = None
    api_key_id: str | None = None
    provider: str | None = None
    subject: str | None = None

    @property
    def identity(self) -> Identity | None:
        """The person, when it is one. The e-mail address first: the register knows people by it."""
        if self.type == "federated_actor" and self.subject:
            return (f"{self.provider}:{self.subject}",)
        known = tuple(name for name in (self.email_address, self.user_id) if name)
        return known if self.type == "user_actor" and known else None


class Group(VendorAnswer):
    model: str  # never null: we group by it
    workspace_id: str | None
    api_key_id: str | None
    service_tier: str | None
    context_window: str | None
    inference_geo: str | None
    product: str | None = None
    actor: Actor | None = None


class LegacyResult(Tokens, Group):
    pass


class LegacyBucket(VendorAnswer):
    starting_at: Moment
    ending_at: Moment
    results: tuple[LegacyResult, ...] = Field(strict=False)


class LegacyReport(VendorAnswer):
    data: tuple[LegacyBucket, ...] = Field(strict=False)
    has_more: bool
    next_page: str | None


class Item(VendorAnswer):
    starting_at: Moment
    ending_at: Moment
    group: Group


class UsageItem(Item):
    usage: Tokens


class Amount(VendorAnswer):
    amount: ExactDecimal  # cents as text, after discount, before credits
    currency: str


class CostItem(Item):
    cost: Amount


class UsageReport(VendorAnswer):
    data: tuple[UsageItem, ...] = Field(strict=False)
    has_more: bool
    next_page: str | None
    data_refreshed_at: Moment


class CostReport(VendorAnswer):
    data: tuple[CostItem, ...] = Field(strict=False)
    has_more: bool
    next_page: str | None
    data_refreshed_at: Moment


class AnthropicSource:
    """Days of use by workspace, model and all that its price depends on."""

    name = "anthropic"

    def __init__(
        self, who: Who, *, api: str, organisation: str = "console", default_workspace: str | None = None
    ) -> None:
        self.event_source = f"anthropic/{api}"
        self.system = "claude-api" if api == "legacy" or organisation == "console" else "claude-enterprise"
        self._api = api
        self._groups = GROUPS[organisation]
        self._who = who
        self._default = default_workspace

    def poll(self, fetch: Fetch, cursor: Cursor, until: datetime) -> Page:
        cursor = self._on_this_interface(cursor)
        found = WINDOWS.window(cursor, until)
        if found is None:
            return Page((), cursor)
        window, deep = found
        return (self._legacy if self._api == "legacy" else self._analytics)(fetch, cursor, until, window, deep)

    def rewind(self, cursor: Cursor, since: datetime) -> Cursor:
        return WINDOWS.rewind(self._on_this_interface(cursor), since)

    def _on_this_interface(self, cursor: Cursor) -> Cursor:
        # The two interfaces cut the same use differently: days that one has told are never asked of the other.
        if cursor.get("api", self._api) == self._api:
            return {**cursor, "api": self._api}
        return {"api": self._api, "next": cursor["next"], "floor": cursor["next"]}

    def _legacy(self, fetch: Fetch, cursor: Cursor, until: datetime, window: Period, deep: bool) -> Page:  # noqa: FBT001
        question = _question(window, LEGACY_GROUPS, bucket_width="1d", limit="31")
        buckets: list[LegacyBucket] = []
        for report in pages(lambda page: _legacy_page(fetch, question, page), self.name):
            buckets += report.data
        for bucket in buckets:
            _check_day(bucket.starting_at, bucket.ending_at, window)
        told = {bucket.starting_at.date() for bucket in buckets}
        facts = [
            self._reading(bucket, row, row, None, who={}, until=until)
            for bucket in buckets
            for row in bucket.results
            if row.consumed()
        ]
        following, more = WINDOWS.after(cursor, window, until, deep=deep)
        missing = tuple(day for day in days_of(window) if day not in told)
        return Page(facts, following, more, window, missing)

    def _analytics(self, fetch: Fetch, cursor: Cursor, until: datetime, window: Period, deep: bool) -> Page:  # noqa: FBT001
        question = _question(window, self._groups, time_bucket_width="1d", order_by="time", order="asc", limit="1000")
        usage, usage_until = _all(fetch, "usage", question, UsageReport)
        costs, costs_until = _all(fetch, "cost", question, CostReport)
        for item in (*usage, *costs):
            _check_day(item.starting_at, item.ending_at, window)
        told = _told(window, min(usage_until, costs_until))
        if told is None:
            return Page((), cursor)
        following, more = WINDOWS.after(cursor, told, until, deep=deep)
        return Page(self._joined(usage, costs, told, until), following, more and told == window, told)

    def _joined(
        self, usage: Sequence[UsageItem], costs: Sequence[CostItem], told: Period, until: datetime
    ) -> list[Reading]:
        """One reading per day and group that has tokens or a cost."""
        amounts = {place: item.cost for place, item in _by_place(costs).items()}
        items: dict[Any, Item] = {**_by_place(costs), **_by_place(usage)}
        items = {place: item for place, item in items.items() if item.starting_at in told}
        who = self._who({identity for item in items.values() if (identity := _identity(item.group))})
        rows = [
            (item, item.usage if isinstance(item, UsageItem) else None, amounts.get(place))
            for place, item in items.items()
        ]
        return [
            self._reading(item, item.group, tokens, cost, who=who, until=until)
            for item, tokens, cost in rows
            if (tokens and tokens.consumed()) or (cost and cost.amount)
        ]

    def _reading(
        self,
        bucket: LegacyBucket | Item,
        group: Group,
        tokens: Tokens | None,
        cost: Amount | None,
        *,
        who: Mapping[Identity, str],
        until: datetime,
    ) -> Reading:
        dimensions = _present(
            service_tier=group.service_tier, context_window=group.context_window, inference_geo=_geo(group)
        )
        consumer = self._consumer(group, who)
        named = [
            *dimensions.items(),
            *consumer.tags.items(),
            ("workspace", group.workspace_id),
            ("person", consumer.person),
        ]
        return Reading(
            reading_id=event_id(
                timestamp(bucket.starting_at), group.model, *(f"{name}={value}" for name, value in named)
            ),
            system=self.system,
            sku=group.model,
            charge_period_start=bucket.starting_at,
            charge_period_end=bucket.ending_at,
            consumed=(tokens and tokens.consumed()) or _only_cost(cost),
            dimensions=dimensions,
            consumer=consumer,
            finality="final" if bucket.ending_at + FINAL_AFTER <= until else "provisional",
            reported_cost=_in_whole_units(cost) if cost else None,
        )

    def _consumer(self, group: Group, who: Mapping[Identity, str]) -> Consumer:
        actor = group.actor or Actor(type="none")
        identity = _identity(group)
        tags = _present(
            api_key=group.api_key_id or actor.api_key_id,
            service_account=actor.service_account_id,
            product=group.product,
        )
        return Consumer(person=who[identity] if identity else None, account=self._account(group), tags=tags)

    def _account(self, group: Group) -> str | None:
        if group.workspace_id is not None or self._api != "legacy":
            return group.workspace_id
        return self._default or "default"


def _question(window: Period, groups: Sequence[str], **more: str) -> Query:
    span = {"starting_at": timestamp(window.start), "ending_at": timestamp(window.end)}
    return [*span.items(), *(("group_by[]", group) for group in groups), *more.items()]


def _legacy_page(fetch: Fetch, question: Query, page: str | None) -> tuple[LegacyReport, str | None]:
    answer = fetch.get("/v1/organizations/usage_report/messages", [*question, *_at(page)])
    report = LegacyReport.model_validate(read_json(answer, AnthropicSource.name))
    return report, _following(report)


def _all(fetch: Fetch, kind: str, question: Query, model: type[Any]) -> tuple[list[Any], datetime]:
    """All rows of one question, and until when they are complete."""

    def read(page: str | None) -> tuple[Any, str | None]:
        answer = fetch.get(f"/v1/organizations/analytics/{kind}", [*question, *_at(page)], BETA)
        report = model.model_validate(read_json(answer, AnthropicSource.name))
        return report, _following(report)

    reports = list(pages(read, AnthropicSource.name))
    return [item for report in reports for item in report.data], min(report.data_refreshed_at for report in reports)


def _following(report: LegacyReport | UsageReport | CostReport) -> str | None:
    if report.has_more and report.next_page is None:
        raise SourceChangedError(
            "anthropic: found has_more without next_page; expected the cursor of the missing page. Nothing was taken"
        )
    return report.next_page if report.has_more else None


def _at(page: str | None) -> Iterator[tuple[str, str]]:
    if page is not None:
        yield "page", page


def _told(window: Period, refreshed: datetime) -> Period | None:
    """The whole days of `window` that the vendor had counted when it answered."""
    end = min(window.end, refreshed.replace(hour=0, minute=0, second=0, microsecond=0))
    return Period(window.start, end) if end > window.start else None


def _check_day(start: datetime, end: datetime, window: Period) -> None:
    if end - start != DAY or start not in window or (start - window.start) % DAY:
        raise SourceChangedError(
            f"anthropic: found a bucket {timestamp(start)} to {timestamp(end)}; expected UTC days of its window"
        )


def _by_place(items: Sequence[T]) -> dict[Any, T]:
    """Rows by day and group. The same row on two pages is one; two different ones are none of ours to add up."""
    found: dict[Any, T] = {}
    for item in items:
        if found.setdefault((item.starting_at, item.group.model_dump_json()), item) != item:
            raise SourceChangedError(
                "anthropic: found two different rows for one day and group; expected one. Nothing was taken"
            )
    return found


def _identity(group: Group) -> Identity | None:
    return group.actor.identity if group.actor else None


def _geo(group: Group) -> str | None:
    return None if group.inference_geo == "not_available" else group.inference_geo


def _present(**named: str | None) -> dict[str, str]:
    return {name: value for name, value in named.items() if value is not None}


def _in_whole_units(cents: Amount) -> Cost:
    # Without trailing zeros: the same amount written with more of them is not another amount.
    return Cost(amount=EXACT.divide(cents.amount, Decimal(100)).normalize(EXACT), currency=cents.currency)


def _only_cost(cost: Amount | None) -> dict[str, Decimal]:
    """What costs without tokens (containers, sessions): cents under a meter of their own, to be seen as unpriced."""
    return {"anthropic:untokened_cents": cost.amount} if cost else {}
