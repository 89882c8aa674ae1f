"""The present: what the city does while somebody watches, a little with every step."""

from collections.abc import Sequence
from datetime import datetime
from heapq import heappop, heappush

from services.shared.periods import timestamp
from services.simulator.apps import Apps, conversations
from services.simulator.assists import AssistUse
from services.simulator.outputs import Sent
from services.simulator.rhythm import draw
from services.simulator.stories import Stories

HURRY = 60
"""While live, an hour of a review's life passes in a minute: so that somebody who watches sees it happen."""

ASSIST_EVERY, OUTPUT_EVERY = 2, 3
"""Of so many steps, one has an assist or an output."""


class Live:
    """Makes what is new since the step before. What a step does depends on the seed and its number, not on the time."""

    def __init__(self, apps: Apps, assists: AssistUse, stories: Stories, later: Sequence[Sent]) -> None:
        self._apps = apps
        self._assists = assists
        self._seed = stories.seed
        self._waiting: list[tuple[str, int, Sent]] = []
        self._kept = 0
        self._steps = 0
        self._before: datetime | None = None
        for event in later:
            self._keep(event)

    def step(self, now: datetime) -> list[Sent]:
        """The events that became due since the last step. Uses of Now Assist wait at their vendor to be read."""
        now = now.replace(microsecond=0)
        self._steps += 1
        self._talk(now)
        if self._steps % ASSIST_EVERY == 0:
            self._assists.add(self._steps, now)
        if self._steps % OUTPUT_EVERY == 0:
            self._write(now)
        return self._due(now)

    def _talk(self, now: datetime) -> None:
        before, self._before = self._before, now
        if before is None or before >= now:  # the first step, or a clock set back
            return
        held = draw(self._seed, "live", self._steps, "talk").randint(0, 4)
        if held:
            self._keep(conversations(before, now, held))

    def _write(self, now: datetime) -> None:
        chance = draw(self._seed, "live", self._steps, "write")
        writer = chance.choices(self._apps.writers, [one.a_day for one in self._apps.writers])[0]
        made = self._apps.output(writer, chance, f"live-{now:%Y%m%dT%H%M%S}", now, HURRY)
        for event in self._apps.lifetime(made, chance, settled=False, may_wait=True):
            self._keep(event)

    def _keep(self, event: Sent) -> None:
        self._kept += 1  # so that events of one second keep their order
        heappush(self._waiting, (event["time"], self._kept, event))

    def _due(self, now: datetime) -> list[Sent]:
        found: list[Sent] = []
        while self._waiting and self._waiting[0][0] <= timestamp(now):
            found.append(heappop(self._waiting)[2])
        return found
