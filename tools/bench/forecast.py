"""How good and how fast the forecast is, beside the run rate and AutoETS; `docs/forecast.md` quotes it.

    python -m tools.bench.forecast [--no-contender] [--json]

Months are forecast from what was known after their days 5, 10, 15 and 20. The contender is statsforecast's AutoETS with
a season of a week, in an environment of its own (`make backtest` makes it); it gets the same history
and is asked about the same days. With it, this takes about ten minutes on one core.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.foresight.backtest import Attempt, Tested, attempts, tested, whole_months
from services.cost_alerts.domain.foresight.model import SeriesModel, cumulated
from services.shared.periods import Month
from tools.bench import days
from tools.bench.days import ROOT, Named
from tools.bench.others import Library

CONTENDER = Library("AutoETS", "auto_ets", "forecast")
SEEDS = (101, 102, 103, 104, 105)
"""Never looked at while the model was made."""

_PATIENCE_SECONDS = 3_600.0
_STOP = Month(2020, 3)
_SERIES, _LENGTH, _AHEAD = 720, 420, 365
_SAMPLED = 10
"""Every so manieth series is enough to tell AutoETS's pace."""


@dataclass(frozen=True)
class Row:
    """One stretch of one series in figures. `rival`: AutoETS's error, nan where it was not asked."""

    series: str
    stretch: str
    figures: Tested
    rival: float


@dataclass(frozen=True)
class Pace:
    """Seconds on one core: ours for all groups a year ahead, AutoETS's for the series alone a month ahead."""

    series: int
    ours: float
    rival: float
    backtest: float


def main() -> None:
    wanted = _arguments()
    rival = wanted.contender and CONTENDER.is_installed
    if wanted.contender and not rival:
        print(f"{CONTENDER.name}: {CONTENDER.missing}", file=sys.stderr)
    rows, pace = list(_rows(rival=rival)), _pace(rival=rival)
    if wanted.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "pace": asdict(pace)}))
    else:
        print(*_told(rows, pace), sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.forecast", description=__doc__)
    parser.add_argument("--no-contender", dest="contender", action="store_false", help="leave AutoETS out")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args()


def _rows(*, rival: bool) -> Iterator[Row]:
    for named in (days.wikipedia(), days.melbourne()):
        yield from _public(named, rival=rival)
    everything: list[Attempt] = []
    rivals: list[Attempt] = []
    for seed in SEEDS:
        named = days.demo(seed)
        found = _attempts(named)
        whole = [one for one in found if one.group == len(named.groups) - 1]
        rivals += _rival(named, whole) if rival else []
        everything += found
        yield _row(f"{named.name}: the city", "whole", whole, rivals[-len(whole) :])
    yield _row("demo, all seeds: workspaces and applications", "whole", everything, ())
    mixed = [one for one in everything if one.group == max(each.group for each in everything)]
    yield _row("demo, all seeds: the city", "whole", mixed, rivals)


def _public(named: Named, *, rival: bool) -> Iterator[Row]:
    found = _attempts(named)
    rivals = _rival(named, found) if rival else []
    months = sorted({one.month for one in found})
    half = months[len(months) // 2]
    stretches: list[tuple[str, Callable[[Attempt], bool]]] = [
        ("whole", lambda _one: True),
        (f"first half, to {half.previous}", lambda one: one.month < half),
        (f"second half, from {half}", lambda one: one.month >= half),
        *((f"after day {day}", lambda one, day=day: one.origin == day) for day in (5, 10, 15, 20)),
    ]
    if months[0] < _STOP < months[-1]:
        stretches.append((f"before {_STOP}", lambda one: one.month < _STOP))
        stretches.append((f"from {_STOP}", lambda one: one.month >= _STOP))
    yield from _years(named)
    for stretch, fits in stretches:
        yield _row(named.name, stretch, [one for one in found if fits(one)], [one for one in rivals if fits(one)])


def _years(named: Named) -> Iterator[Row]:
    """What is left of the calendar year, forecast on the first of each month."""
    history = named.history
    model = SeriesModel(history, named.groups, _AHEAD + 1)
    found = []
    for month in whole_months(history):
        origin = (month.first_day - history.first_day).days
        end = (Month(month.year + 1, 1).first_day - history.first_day).days
        if end <= history.days and model.at(origin, 1).enough[0]:
            known = ~np.isnan(history.values[:, origin:end])
            said = model.at(origin, end - origin, scale=known.astype(np.float64))
            happened = float(np.nansum(history.values[:, origin:end]))
            mid, low, high = (float(each[0, -1]) for each in said[:3])
            found.append(Attempt(0, month, 0, happened, mid, low, high, math.nan))
    yield _row(named.name, "rest of the year", found, ())


def _row(series: str, stretch: str, found: Sequence[Attempt], rivals: Sequence[Attempt]) -> Row:
    return Row(series, stretch, tested(0, None, found), tested(0, None, rivals).error)


def _attempts(named: Named) -> Sequence[Attempt]:
    return attempts(named.history, named.groups, whole_months(named.history), progress=_watch(named.name))


def _rival(named: Named, found: Sequence[Attempt]) -> Sequence[Attempt]:
    """The same attempts with AutoETS's forecasts of the last group. Its limits are by the day: nothing to compare."""
    values = named.groups[-1].astype(np.float64) @ np.atleast_2d(named.history.values)
    starts = [(one.month.first_day - named.history.first_day).days for one in found]
    left = [one.month.days - one.origin for one in found]
    origins = [start + one.origin for start, one in zip(starts, found, strict=True)]
    answer = _ask([_task(values.tolist(), origins, left)])
    return [
        one._replace(forecast=_total(values, start, origin, path))
        for one, start, origin, path in zip(found, starts, origins, answer["paths"][0], strict=True)
    ]


def _total(values: FloatArray, start: int, origin: int, path: Sequence[float]) -> float:
    """What a month costs by this path: known days so far, and what is expected of known days to come."""
    ahead = values[origin : origin + len(path)]
    return float(np.nansum(values[start:origin]) + np.sum(np.array(path)[~np.isnan(ahead)]))


def _task(values: Sequence[float], origins: Sequence[int], ahead: Sequence[int]) -> Mapping[str, object]:
    known = [None if math.isnan(value) else value for value in values]
    return {"values": known, "origins": origins, "days": ahead}


def _ask(tasks: Sequence[Mapping[str, object]]) -> Mapping[str, Any]:
    child = subprocess.run(
        [str(CONTENDER.python), "-W", "ignore", "-m", f"tools.bench.alone.{CONTENDER.module}"],
        input=json.dumps(tasks),
        env={**os.environ, **_ONE_CORE}, cwd=ROOT,
        capture_output=True, text=True, check=True, timeout=_PATIENCE_SECONDS,
    )  # fmt: skip
    answer: Mapping[str, Any] = json.loads(child.stdout)
    return answer


_ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _pace(*, rival: bool) -> Pace:
    """Processor time, so that other work on the machine does not count."""
    named = days.many(_SERIES, _LENGTH)
    ours = _timed(lambda: cumulated(named.history, named.groups, _AHEAD))
    sampled = named.history.values[::_SAMPLED]
    tasks = [_task(row.tolist(), [_LENGTH], [31]) for row in sampled]
    theirs = float(_ask(tasks)["seconds"]) * _SAMPLED if rival else math.nan
    city = days.demo(SEEDS[0])
    two_years = whole_months(city.history)[-24:]
    tried = _timed(lambda: attempts(city.history, city.groups, two_years))
    return Pace(_SERIES, ours, theirs, tried)


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _told(rows: Iterable[Row], pace: Pace) -> Iterator[str]:
    yield "| series | months | forecasts | error | median | run rate | less by | AutoETS | bias | within limits |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        one = row.figures
        cells = (
            row.series, row.stretch, str(one.n), _percent(one.error), _percent(one.median),
            _percent(one.run_rate_error), _percent(1 - one.ratio, 0), _percent(row.rival),
            _percent(one.bias, sign="+"), _percent(one.coverage),
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"{pace.series} series and their sums, a year ahead: {pace.ours:.1f} s of one core"
    yield f"AutoETS for the {pace.series} series alone, a month ahead: {pace.rival:.0f} s"
    yield f"AutoETS ÷ ours: {pace.rival / pace.ours:.0f}"
    yield f"24 months of the demo city tested: {pace.backtest:.1f} s"


def _percent(share: float, digits: int = 1, sign: str = "") -> str:
    return "" if math.isnan(share) else f"{100 * share:{sign}.{digits}f} %"


def _watch(name: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K  {name}: {done} of {total} months\r", end="", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    main()
