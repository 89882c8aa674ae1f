"""Anthropic's admin interface: the Usage and Cost Analytics API (beta) and the legacy usage report, by day.

Shapes as the collector's source states them; days only (the vendor has hours and minutes, too).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.shared.periods import timestamp
from services.simulator.claude import ClaudeUse, Prices, Use
from services.simulator.exchange import Ask, RefusedError, Reply, as_json, page_of
from services.simulator.rhythm import DAY, days

KEY = "simulated-admin-key"
BETA = "analytics-usage-cost-2026-08-24"
FRESH_AFTER = timedelta(minutes=5)
LONGEST = 31 * DAY
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)

GROUPS = (
    "actor", "actor_type", "agent_id", "api_key_id", "claude_tag_category", "claude_tag_user_id", "context_window",
    "deployment_id", "environment_id", "inference_geo", "model", "organization_id", "product", "rbac_group_id",
    "service_tier", "session_id", "slack_channel_id", "speed", "user_profile_id", "workspace_id",
)  # fmt: skip
LEGACY_GROUPS = (
    "account_id", "api_key_id", "context_window", "inference_geo", "model", "service_account_id", "service_tier",
    "workspace_id",
)  # fmt: skip
_KNOWN = ("workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo")
_MOST_GROUPS = 5

Key = tuple[str | None, ...]


class Anthropic:
    """Answers for one organisation."""

    def __init__(self, use: ClaudeUse, prices: Prices) -> None:
        self._use = use
        self._prices = prices
        self._answers: Mapping[str, Callable[[Ask], Reply]] = {
            "/v1/organizations/analytics/usage": self._usage,
            "/v1/organizations/analytics/cost": self._cost,
            "/v1/organizations/usage_report/messages": self._legacy,
        }

    def __call__(self, ask: Ask) -> Reply | None:
        if not ask.path.startswith("/v1/"):
            return None
        if ask.headers.get("x-api-key") != KEY:
            raise _refused(401, "authentication_error", "invalid x-api-key")
        if "anthropic-version" not in ask.headers:
            raise _refused(400, "invalid_request_error", "anthropic-version: header is required")
        if ask.path not in self._answers:
            raise _refused(404, "not_found_error", "Not found")
        return self._answers[ask.path](ask)

    def _usage(self, ask: Ask) -> Reply:
        return self._analytics(ask, "usage", self._usage_of)

    def _cost(self, ask: Ask) -> Reply:
        return self._analytics(ask, "cost", self._cost_of)

    def _analytics(self, ask: Ask, name: str, what: Callable[[Sequence[Use]], Mapping[str, Any]]) -> Reply:
        if BETA not in ask.headers.get("anthropic-beta", ""):
            raise _refused(400, "invalid_request_error", f"anthropic-beta: {BETA} is required")
        first, end = _span(ask, "time_bucket_width")
        groups = _groups(ask, GROUPS, _MOST_GROUPS)
        items = [
            {**_ends(day), "group": dict.fromkeys(GROUPS) | dict(zip(groups, key, strict=True)), name: what(uses)}
            for day, key, uses in self._grouped(ask, first, end, groups)
        ]
        page, following = page_of(items, _limit(ask, 20, 1000), ask.first("page"), _asked(ask), _bad_page)
        told = {"data": page, "has_more": following is not None, "next_page": following}
        return as_json({**told, "data_refreshed_at": timestamp(_refreshed(ask))})

    def _legacy(self, ask: Ask) -> Reply:
        first, end = _span(ask, "bucket_width")
        groups = _groups(ask, LEGACY_GROUPS, len(LEGACY_GROUPS))
        buckets: dict[date, list[Any]] = {day: [] for day in days(first, end)}
        for day, key, uses in self._grouped(ask, first, end, groups):
            named = dict(zip(groups, key, strict=True))
            if "workspace_id" in named and uses[0].is_default:
                named["workspace_id"] = None
            buckets[day].append(dict.fromkeys(LEGACY_GROUPS) | named | _tokens(uses))
        data = [{**_ends(day), "results": results} for day, results in buckets.items()]
        page, following = page_of(data, _limit(ask, 7, 31), ask.first("page"), _asked(ask), _bad_page)
        return as_json({"data": page, "has_more": following is not None, "next_page": following})

    def _grouped(
        self, ask: Ask, first: date, end: date, groups: Sequence[str]
    ) -> Iterable[tuple[date, Key, Sequence[Use]]]:
        for day in days(first, min(end, _refreshed(ask).date())):
            found: dict[Key, list[Use]] = {}
            for use in self._use.on(day, ask.now):
                key = tuple(getattr(use, group) if group in _KNOWN else None for group in groups)
                found.setdefault(key, []).append(use)
            for key, uses in found.items():
                yield day, key, uses

    def _usage_of(self, uses: Sequence[Use]) -> Mapping[str, Any]:
        total = sum(found for use in uses for meter, found in use.metered().items() if meter != "web_searches")
        return {**_tokens(uses), "total_tokens": total, "requests": sum(use.requests for use in uses)}

    def _cost_of(self, uses: Sequence[Use]) -> Mapping[str, Any]:
        cents = sum((self._prices.of(use) for use in uses), Decimal(0)) * 100
        amount = f"{cents:.6f}"
        requests = sum(use.requests for use in uses)
        return {"amount": amount, "list_amount": amount, "currency": "USD", "requests": requests}


def _refreshed(ask: Ask) -> datetime:
    return (ask.now - FRESH_AFTER).replace(second=0, microsecond=0)


def _tokens(uses: Sequence[Use]) -> dict[str, Any]:
    total = {meter: sum(use.metered()[meter] for use in uses) for meter in uses[0].metered()}
    return {
        "uncached_input_tokens": total["input_tokens"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": total["cache_write_5m_tokens"],
            "ephemeral_1h_input_tokens": total["cache_write_1h_tokens"],
        },
        "cache_read_input_tokens": total["cache_read_tokens"],
        "output_tokens": total["output_tokens"],
        "server_tool_use": {"web_search_requests": total["web_searches"]},
    }


def _ends(day: date) -> dict[str, str]:
    return {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + DAY}T00:00:00Z"}


def _span(ask: Ask, width: str) -> tuple[date, date]:
    if ask.first(width, "1d") != "1d":
        raise _refused(400, "invalid_request_error", f"{width}: this simulation has days (1d) only")
    try:
        start = datetime.fromisoformat(ask.first("starting_at"))
        end = datetime.fromisoformat(ask.first("ending_at") or timestamp(ask.now))
    except ValueError:
        raise _refused(400, "invalid_request_error", "starting_at, ending_at: expected RFC 3339") from None
    if start < EARLIEST or not timedelta(0) < end - start <= LONGEST:
        raise _refused(400, "invalid_request_error", "expected a range of at most 31 days since 2026-01-01")
    return start.date(), end.date()


def _groups(ask: Ask, known: Sequence[str], most: int) -> Sequence[str]:
    groups = ask.every("group_by[]")
    if len(groups) > most or not set(groups) <= set(known):
        raise _refused(400, "invalid_request_error", f"group_by[]: expected at most {most} of {', '.join(known)}")
    return groups


def _limit(ask: Ask, usual: int, most: int) -> int:
    text = ask.first("limit", str(usual))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise _refused(400, "invalid_request_error", f"limit: expected 1 to {most}")
    return int(text)


def _asked(ask: Ask) -> object:
    return ask.path, sorted(pair for pair in ask.query if pair[0] != "page")


def _bad_page() -> RefusedError:
    return _refused(400, "invalid_request_error", "page: this cursor belongs to another question")


def _refused(status: int, kind: str, message: str) -> RefusedError:
    return RefusedError(status, {"type": "error", "error": {"type": kind, "message": message}})
