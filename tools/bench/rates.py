"""From what the rounds took to rates and ratios: medians, because a busy machine has bad moments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tools.bench import loops, others, sharing
from tools.bench.loops import Took

GOAL_RATIO = 0.6
GOAL_TWO = 20_000
GOAL_TWO_STRETCH = 50_000


@dataclass(frozen=True)
class Rate:
    """Events per second of a loop: median of the rounds, slowest, fastest; µs of processor time per event (median).

    Processor time is that of the processes that run the loop; the servers' is not in it.
    """

    loop: str
    median: float
    slowest: float
    fastest: float
    processor: float
    goal: float | None = None

    @property
    def reached(self) -> bool | None:
        return None if self.goal is None else self.median >= self.goal


@dataclass(frozen=True)
class Ratio:
    """How often a loop is as fast as another of the same round, median; by the clock and by processor time."""

    loop: str
    other: str
    clock: float
    processor: float
    goal: float | None = None

    @property
    def reached(self) -> bool | None:
        return None if self.goal is None else self.clock >= self.goal


_RATIOS = (
    (loops.LEDGER, loops.LEDGER_ROWS),
    (loops.LEDGER, loops.DECODE),
    (loops.LEDGER, loops.POLL),
    *((loops.LEDGER, library.name) for library in others.LIBRARIES),
    (sharing.TWO, sharing.ONE),
    (loops.LOG, loops.LOG_ROWS),
    (loops.LOG, loops.HASH),
)
_GOALS = {(loops.LEDGER, loops.LEDGER_ROWS): GOAL_RATIO}


def rates(took: Sequence[Mapping[str, Took]], events: int) -> Sequence[Rate]:
    """The rate of every loop of these rounds, in the order in which they ran."""
    return [_rate(loop, [one[loop] for one in took], events) for loop in took[0]]


def _rate(loop: str, took: Sequence[Took], events: int) -> Rate:
    found = sorted(events / one.wall for one in took)
    processor = median(one.processor for one in took) / events * 1e6
    return Rate(loop, median(found), found[0], found[-1], processor, GOAL_TWO if loop == sharing.TWO else None)


def ratios(took: Sequence[Mapping[str, Took]]) -> Sequence[Ratio]:
    """The ratios that these rounds can tell."""
    return [_ratio(ours, other, took) for ours, other in _RATIOS if {ours, other} <= set(took[0])]


def _ratio(ours: str, other: str, took: Sequence[Mapping[str, Took]]) -> Ratio:
    clock = median(one[other].wall / one[ours].wall for one in took)
    processor = median(one[other].processor / one[ours].processor for one in took)
    return Ratio(ours, other, clock, processor, _GOALS.get((ours, other)))
