"""What the city's own software asks of Claude, by day: the use that the simulated Anthropic reports."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from services.simulator.city import City
from services.simulator.rhythm import OFFICE, PUBLIC, count, draw, growth, strength
from services.simulator.stories import Stories

HAIKU, SONNET, SONNET_LONG, OPUS = "claude-haiku-4-5-20251001", "claude-sonnet-5", "claude-sonnet-4-5", "claude-opus-5"
MONTHLY_GROWTH = 0.05
RESTATED = ("tietohallinto-kehitys", 1.3)
"""The workspace whose use Anthropic had told too low on one day, and by what it is then multiplied."""

RUNAWAY, RUNAWAY_TIMES = "rakennusvalvonta-rag", 4
"""The workspace in which a program runs in a circle, and how often it asks what it asks on a usual day."""

UNLISTED_PRICES = {"input_tokens": "3", "output_tokens": "15", "cache_read_tokens": "0.3"}
"""USD per million, which the vendor charges for the models that the city has no tariff for, or got one late."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One program's use on a usual day. Tokens in thousands; `cached`: read from a cache, `kept`: written to one."""

    workspace: str
    model: str
    rhythm: tuple[float, ...]
    read: int
    written: int
    cached: int = 0
    kept: int = 0
    searches: int = 0
    tier: str = "standard"
    window: str | None = None


# The library's bot is the one that is liked more than was planned: see `_strength`.
LIBRARY = "kirjasto-chatbot"
WORKLOADS = (
    Workload(LIBRARY, SONNET, PUBLIC, read=10_300, written=2_650, cached=24_600, kept=1_650, searches=33),
    Workload(LIBRARY, HAIKU, PUBLIC, read=7_400, written=1_560, cached=17_200, kept=820),
    Workload("tietohallinto-kehitys", OPUS, OFFICE, read=1_900, written=420, cached=11_000, kept=900, searches=12),
    Workload("tietohallinto-kehitys", SONNET, OFFICE, read=1_200, written=300, cached=5_000, kept=300),
    Workload("tyollisyyspalvelut", SONNET, OFFICE, read=2_400, written=700, cached=1_500, kept=250),
    Workload("rakennusvalvonta-rag", SONNET_LONG, OFFICE, read=900, written=120, cached=600, window="0-200k"),
    Workload("rakennusvalvonta-rag", SONNET_LONG, OFFICE, read=650, written=30, window="200k-1M"),
    Workload("rakennusvalvonta-rag", HAIKU, OFFICE, read=3_000, written=250, tier="batch"),
    Workload("default", HAIKU, OFFICE, read=700, written=160),
)
NEW_MODEL = Workload("tietohallinto-kehitys", "", OFFICE, read=260, written=70, cached=400)
LATE_MODEL = Workload("rakennusvalvonta-rag", "", OFFICE, read=900, written=240, cached=1_300)


@dataclass(frozen=True, slots=True)
class Use:
    """A day's tokens (and searches) of one workspace, key, model and price class. Every token stands in one count."""

    day: date
    workspace_id: str
    is_default: bool
    api_key_id: str
    model: str
    service_tier: str
    context_window: str | None
    inference_geo: str
    input_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    output_tokens: int
    web_searches: int
    requests: int

    def metered(self) -> Mapping[str, int]:
        """Meter → count."""
        return {meter: getattr(self, meter) for meter in METERS}

    def scaled(self, factor: float) -> "Use":
        return replace(self, **{meter: round(found * factor) for meter, found in self.metered().items()})  # type: ignore[arg-type]  # the meters are fields that hold counts


METERS = (
    "input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "output_tokens",
    "web_searches",
)


class ClaudeUse:
    """The city's use of Claude: any day can be asked for alone."""

    def __init__(self, city: City, stories: Stories) -> None:
        self._city = city
        self._stories = stories
        self._told = lru_cache(maxsize=1000)(self._first_told)

    def on(self, day: date, now: datetime) -> Sequence[Use]:
        """What the vendor says at `now` about `day` (UTC). It knows only whole days, from the first of history on."""
        if not self._stories.first_day <= day < now.date():
            return ()
        if day == self._stories.restated_day and now >= self._stories.restated_at:
            return tuple(self._restated(use) for use in self._told(day))
        return self._told(day)

    def _first_told(self, day: date) -> Sequence[Use]:
        return tuple(self._use(workload, day) for workload in self._workloads(day))

    def _workloads(self, day: date) -> Iterable[Workload]:
        known = self._city.vendors.anthropic
        for workload in WORKLOADS:
            if workload.tier != "batch" or day >= known.batch_tariff_from:
                yield workload
        if day >= self._stories.new_model_from:
            yield replace(NEW_MODEL, model=known.model_without_tariff)
        if day >= self._stories.late_model_from:
            yield replace(LATE_MODEL, model=known.model_with_late_tariff)

    def _use(self, workload: Workload, day: date) -> Use:
        workspace = self._city.workspace(workload.workspace)
        chance = draw(
            self._stories.seed, day, workload.workspace, workload.model, workload.tier, workload.window, "claude"
        )
        strong = self._strength(workload, day)
        thousands = [workload.read, workload.kept, workload.cached, workload.written]
        read, kept, cached, written = (count(chance, 1000 * each * strong) for each in thousands)
        return Use(
            day=day,
            workspace_id=workspace.id,
            is_default=workspace.default,
            api_key_id=workspace.api_keys[0],
            model=workload.model,
            service_tier=workload.tier,
            context_window=workload.window,
            inference_geo="not_available" if workload.window else "global",
            input_tokens=read,
            cache_write_5m_tokens=kept - kept // 4,
            cache_write_1h_tokens=kept // 4,
            cache_read_tokens=cached,
            output_tokens=written,
            web_searches=count(chance, workload.searches * strong),
            requests=1 + read // 4_000,
        )

    def _strength(self, workload: Workload, day: date) -> float:
        if workload.workspace == LIBRARY:
            return self._stories.ramp(day) * self._stories.library_strength() * strength(day, workload.rhythm)
        if workload.workspace == RUNAWAY and day >= self._stories.anomaly_day:
            return growth(day, MONTHLY_GROWTH) * RUNAWAY_TIMES  # a program does not rest on a Sunday
        return growth(day, MONTHLY_GROWTH) * strength(day, workload.rhythm)

    def _restated(self, use: Use) -> Use:
        workspace, factor = RESTATED
        return use.scaled(factor) if use.workspace_id == self._city.workspace(workspace).id else use


class Prices:
    """What the vendor charges, in USD: its list prices as the city's tariffs have them."""

    def __init__(self, tariffs: Sequence[Mapping[str, Any]]) -> None:
        self._by_meter: dict[tuple[str, str], list[tuple[Mapping[str, str], Decimal]]] = {}
        for entry in tariffs:
            price = Decimal(entry["price"]) / Decimal(entry["per"])
            self._by_meter.setdefault((entry["sku"], entry["meter"]), []).append((entry["when"], price))

    def of(self, use: Use) -> Decimal:
        """USD for all that was used, exact."""
        return sum((self._price(use, meter) * found for meter, found in use.metered().items() if found), Decimal(0))

    def _price(self, use: Use, meter: str) -> Decimal:
        said = {"service_tier": use.service_tier, "context_window": use.context_window}.items()
        known = self._by_meter.get((use.model, meter), [])
        fitting = [(len(when), price) for when, price in known if when.items() <= said]
        unlisted = Decimal(UNLISTED_PRICES.get(meter, "0")) / 1_000_000
        return max(fitting, default=(0, unlisted), key=lambda found: found[0])[1]
