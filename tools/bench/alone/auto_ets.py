"""AutoETS with a season of a week: what it expects of the days after each origin of one series, one core.

Reads one JSON object: `values` (null: not known), `origins` (days before each forecast), `days` (how many to forecast
at each). Only numpy and statsforecast are imported here besides the standard library.
"""

import json
import sys
import time
from collections.abc import Sequence

import numpy as np
from statsforecast.models import AutoETS

SEASON = 7


def main() -> None:
    task = json.load(sys.stdin)
    values = np.array(_filled(task["values"]))
    AutoETS(season_length=SEASON).forecast(values[: task["origins"][0]], h=1)  # compiles and warms up
    began = time.process_time()
    paths = [
        [float(expected) for expected in AutoETS(season_length=SEASON).forecast(values[:origin], h=days)["mean"]]
        for origin, days in zip(task["origins"], task["days"], strict=True)
    ]
    json.dump({"paths": paths, "seconds": time.process_time() - began}, sys.stdout)


def _filled(values: Sequence[float | None]) -> Sequence[float]:
    """It knows no gaps: a day that is not known is taken to be like the same weekday before."""
    found: list[float] = []
    for day, value in enumerate(values):
        found.append(value if value is not None else found[day - SEASON] if day >= SEASON else 0.0)
    return found


if __name__ == "__main__":
    main()
