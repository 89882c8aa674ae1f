"""AutoETS with a season of a week: what it expects of the days after each origin of some series, one after the other.

Reads a JSON list with an object per series: `values` (null: not known), `origins` (days before each forecast), `days`
(how many to forecast at each). Only numpy and statsforecast are imported here besides the standard library.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from statsforecast.models import AutoETS

SEASON = 7


def main() -> None:
    tasks = json.load(sys.stdin)
    list(_paths({**tasks[0], "origins": tasks[0]["origins"][:1], "days": [1]}))  # compiles and warms up
    began = time.process_time()
    paths = [list(_paths(task)) for task in tasks]
    json.dump({"paths": paths, "seconds": time.process_time() - began}, sys.stdout)


def _paths(task: Mapping[str, Any]) -> Iterator[Sequence[float]]:
    values = np.array(_filled(task["values"]))
    for origin, days in zip(task["origins"], task["days"], strict=True):
        yield [float(expected) for expected in AutoETS(season_length=SEASON).forecast(values[:origin], h=days)["mean"]]


def _filled(values: Sequence[float | None]) -> Sequence[float]:
    """It knows no gaps: a day that is not known is taken to be like the same weekday before."""
    found: list[float] = []
    for day, value in enumerate(values):
        found.append(value if value is not None else found[day - SEASON] if day >= SEASON else 0.0)
    return found


if __name__ == "__main__":
    main()
