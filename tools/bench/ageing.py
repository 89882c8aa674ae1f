"""How the ledger's rate changes while it fills."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.bench.forms import Pipeline, drain
from tools.bench.loops import Took, timed

PORTION = 50_000
WINDOW = 250_000


@dataclass(frozen=True)
class Ageing:
    """Readings per second over the first and the last `window` readings, by the clock on the wall.

    `by_processor` is last ÷ first by processor time: on a busy machine it tells more, but it does not see the disk.
    """

    stored: int
    window: int
    first: float
    last: float
    by_processor: float

    @property
    def ratio(self) -> float:
        return self.last / self.first


def fill(line: Pipeline, stored: int, tell: Callable[[str], None]) -> Ageing:
    """Fill the ledger with `stored` readings, in portions that are published first and then measured."""
    took: list[tuple[int, Took]] = []
    while line.published < stored:
        portion = min(PORTION, stored - line.published)
        line.publish(portion)
        took.append((portion, timed(lambda: drain(line.usage, line.ledger.store, line.bus))))
        tell(f"{line.published:,} readings stored, now {portion / took[-1][1].wall:,.0f}/s")
    window = min(WINDOW, max(took[0][0], stored // 4 // PORTION * PORTION))
    first, last = _over(took, window), _over(took[::-1], window)
    return Ageing(line.published, window, 1 / first.wall, 1 / last.wall, by_processor=first.processor / last.processor)


def _over(took: Sequence[tuple[int, Took]], window: int) -> Took:
    """Seconds per reading over the first portions that make up the window."""
    read, wall, processor = 0, 0.0, 0.0
    for portion, one in took:
        if read >= window:
            break
        read, wall, processor = read + portion, wall + one.wall, processor + one.processor
    return Took(wall / read, processor / read)
