"""Daily costs to test forecasts on: two public series, and the demo city of any seed."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from services.cost_alerts.domain.foresight.arrays import BoolArray
from services.cost_alerts.domain.foresight.model import History
from services.cost_alerts.domain.foresight.series import read_series
from services.shared.periods import HELSINKI
from services.simulator.apps import Apps
from services.simulator.assists import AssistUse
from services.simulator.city import City, load_city
from services.simulator.claude import ClaudeUse, Prices
from services.simulator.rhythm import DAY, days
from services.simulator.stories import Stories

ROOT = Path(__file__).parents[2]
_DATA = ROOT / "tests" / "data"

DEMO_ENDS = date(2026, 11, 1)
"""The demo's "today": a fixed one, so that the figures are the same whenever they are made."""

DEMO_DAYS = 800
_EURO_A_CONVERSATION, _EURO_AN_ASSIST = 0.08, 0.25
"""Round prices; what they are does not change how well a series can be foreseen."""


class Named(NamedTuple):
    """A history and its groups; `groups` [group, series], of which the last is everything."""

    name: str
    history: History
    groups: BoolArray


def wikipedia() -> Named:
    """Views of one page a day, read as cost."""
    return _of_file("Wikipedia", _DATA / "wikipedia_r_language_daily_log_views.csv", logarithmic=True)


def melbourne() -> Named:
    """Pedestrians a day, read as cost."""
    return _of_file("Melbourne", _DATA / "melbourne_pedestrians_daily.csv", logarithmic=False)


def _of_file(name: str, path: Path, *, logarithmic: bool) -> Named:
    with path.open(encoding="utf-8", newline="") as lines:
        history = read_series(lines, logarithmic=logarithmic)
    return Named(name, history, np.ones((1, 1), dtype=bool))


def demo(seed: int) -> Named:
    """The demo city's metered use by workspace and application, each a group, and their total."""
    stories = Stories(seed, DEMO_DAYS, DEMO_ENDS)
    found: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for name, day, cost in _costs(_city(), stories):
        found[name][day] += cost
    span = list(days(stories.first_day, stories.today))
    values = np.array([[found[name][day] for day in span] for name in sorted(found)])
    groups = np.vstack([np.eye(len(values), dtype=bool), np.ones((1, len(values)), dtype=bool)])
    return Named(f"demo, seed {seed}", History(stories.first_day, values), groups)


@cache
def _city() -> City:
    return load_city(ROOT / "deploy" / "example-city")


def _costs(city: City, stories: Stories) -> Iterator[tuple[str, date, float]]:
    claude, prices = ClaudeUse(city, stories), Prices(city.tariffs)
    assists, apps = AssistUse(city, stories), Apps(city, stories)
    now = datetime.combine(stories.today, time(), HELSINKI)
    for day in days(stories.first_day, stories.today):
        for use in (*claude.on(day, now), *apps.gateway_use(day)):
            yield use.workspace_id, day, float(prices.of(use))
        talked = sum(float(event["data"]["consumed"]["conversations"]) for event in apps.conversations(day))
        yield "assists", day, _EURO_AN_ASSIST * sum(1 for _ in _on(assists, day))
        yield "conversations", day, _EURO_A_CONVERSATION * talked


def _on(assists: AssistUse, day: date) -> Iterator[object]:
    start = datetime.combine(day, time(), HELSINKI)
    return assists.between(start, start + DAY)


def many(series: int, length: int) -> Named:
    """Made-up series for the clock alone: 60 units by systems of 60 series each, all of them, and each by itself."""
    chance = np.random.default_rng(720)
    week = np.array([1.0, 1.05, 1.0, 1.0, 0.8, 0.05, 0.03])
    size = np.exp(chance.normal(3.0, 1.0, (series, 1)))
    values = size * week[np.arange(length) % 7] * np.maximum(chance.normal(1.0, 0.2, (series, length)), 0.0)
    number = np.arange(series)
    units = number % 60 == np.arange(60)[:, np.newaxis]
    systems = number // 60 == np.arange(-(-series // 60))[:, np.newaxis]
    groups = np.vstack([np.eye(series, dtype=bool), units, systems, np.ones((1, series), dtype=bool)])
    return Named(f"{series} series of {length} days", History(date(2025, 9, 1), values), groups)
