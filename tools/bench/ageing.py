"""How the ledger's rate changes while it fills."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.cost_alerts.adapters.check import check_ledger
from tools.bench.forms import drain, embedded, pipeline
from tools.bench.loops import Took, timed

PORTION = 50_000
WINDOW = 250_000


@dataclass(frozen=True)
class Ageing:
    """Readings per second over the first and the last `window` readings, by the clock on the wall.

    `cpu_ratio` is last ÷ first by processor time: on a busy machine it tells more, but it does not see the disk.
    """

    stored: int
    window: int
    first: float
    last: float
    cpu_ratio: float
    problems: Sequence[str]


def fill(stored: int, folder: Path, tell: Callable[[str], None]) -> Ageing:
    """Fill an embedded ledger with `stored` readings, in portions that are published first and then measured."""
    window = min(WINDOW, max(PORTION, stored // 4 // PORTION * PORTION))
    took: list[Took] = []
    with tempfile.TemporaryDirectory(dir=folder) as name, embedded(Path(name)) as form, pipeline(form) as line:
        while line.published < stored:
            line.publish(PORTION)
            took.append(timed(lambda: drain(line.usage, line.ledger.store, line.bus)))
            tell(f"{line.published:,} readings stored, now {PORTION / took[-1].wall:,.0f}/s")
        first, last = _sum(took[: window // PORTION]), _sum(took[-window // PORTION :])
        return Ageing(
            line.published,
            window,
            window / first.wall,
            window / last.wall,
            first.processor / last.processor,
            check_ledger(line.ledger.store),
        )


def _sum(took: Sequence[Took]) -> Took:
    return Took(sum(one.wall for one in took), sum(one.processor for one in took))
