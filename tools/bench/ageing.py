"""How the ledger's rate changes while it fills."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.cost_alerts.adapters.check import check_ledger
from tools.bench.forms import drain, embedded, pipeline
from tools.bench.loops import seconds

PORTION = 50_000
WINDOW = 250_000


@dataclass(frozen=True)
class Ageing:
    """Readings per second over the first and the last `window` readings."""

    stored: int
    window: int
    first: float
    last: float
    rates: tuple[float, ...]
    problems: tuple[str, ...]


def fill(stored: int, folder: Path, tell: Callable[[str], None]) -> Ageing:
    """Fill an embedded ledger with `stored` readings, in portions that are published first and then measured."""
    window = min(WINDOW, max(PORTION, stored // 4 // PORTION * PORTION))
    took: list[float] = []
    with tempfile.TemporaryDirectory(dir=folder) as name, embedded(Path(name)) as form, pipeline(form) as line:
        while line.published < stored:
            line.publish(PORTION)
            took.append(seconds(lambda: drain(line.usage, line.ledger.store, line.bus)))
            tell(f"{line.published:,} readings stored, now {PORTION / took[-1]:,.0f}/s")
        problems = tuple(check_ledger(line.ledger.store))
        portions = window // PORTION
        return Ageing(
            line.published,
            window,
            window / sum(took[:portions]),
            window / sum(took[-portions:]),
            tuple(PORTION / one for one in took),
            problems,
        )
