"""What people ask of ServiceNow's Now Assist: the rows of its usage log, and of the texts somebody judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from random import Random

from services.simulator.city import City, Skill
from services.simulator.rhythm import DAY, OFFICE, OFFICE_HOURS, count, draw, growth, moment_on, strength
from services.simulator.stories import Stories

USES_A_DAY = 24
MONTHLY_GROWTH = 0.08
"""So much more every month that a yearly pool of assists runs dry before its end."""

SKILL_WEIGHTS = (16, 1, 2)
"""How often each skill of the city is used, in the order of `vendors.json`."""

PENDING_FOR = timedelta(seconds=45)
"""A row is pending for so long, then completed."""

WRITTEN_SKILL = 1
"""The skill (its place among the city's) whose texts are kept in the generative AI log: they are published."""

FEEDBACK = (
    ("Accepted", "", 30), ("Accepted", "edited", 20), ("Rejected", "", 6), ("Ignored", "", 8),
    ("SlightlyPositive", "", 8), ("LikelyPositive", "copied", 8), ("", "copied", 8), ("", "", 12),
)  # fmt: skip
"""What became of a text: feedback, additional data, how often."""


@dataclass(frozen=True, slots=True)
class Assist:
    """One use of a skill; `log_id` is set where its text is kept. `user` is a `sys_id`."""

    sys_id: str
    created_at: datetime
    skill: Skill
    user: str
    execution_type: str = ""
    log_id: str = ""
    feedback: str = ""
    additional_data: str = ""
    feedback_at: datetime | None = None


class AssistUse:
    """The city's use of Now Assist: any past day can be asked for alone; present rows are added while it is live."""

    def __init__(self, city: City, stories: Stories) -> None:
        self._knows = city.vendors.servicenow
        self._users = [city.other_ids[person] for person in city.numbered(self._knows.users)]
        self._stories = stories
        self._past = lru_cache(maxsize=1000)(self._of_day)
        self._live: tuple[Assist, ...] = ()  # replaced as a whole: the server reads it in another thread

    def between(self, start: datetime, end: datetime) -> Iterator[Assist]:
        """The uses created from `start` (inclusive) to `end` (exclusive), by time and id."""
        day, last = max(start.date() - DAY, self._stories.first_day), min(end.date() + DAY, self._stories.today)
        while day < last:
            yield from (one for one in self._past(day) if start <= one.created_at < end)
            day += DAY
        yield from (one for one in self._live if start <= one.created_at < end)

    def add(self, step: int, now: datetime) -> Assist:
        """One more use, made just now."""
        added = self._assist(draw(self._stories.seed, "live", step, "assists"), f"live {step}", now)
        self._live = (*self._live, added)
        return added

    def _of_day(self, day: date) -> Sequence[Assist]:
        chance = draw(self._stories.seed, day, "assists")
        uses = count(chance, USES_A_DAY * growth(day, MONTHLY_GROWTH) * strength(day, OFFICE))
        moments = sorted(moment_on(chance, day, OFFICE_HOURS) for _ in range(uses))
        made = [self._assist(chance, f"{day} {number}", moment) for number, moment in enumerate(moments)]
        if day == self._stories.texts_kept_from:  # who switches the log on tries it out, be it a Sunday
            made.append(self._tried_out(chance, day))
        return sorted(made, key=lambda one: (one.created_at, one.sys_id))

    def _tried_out(self, chance: Random, day: date) -> Assist:
        """A text that is surely kept: a collector that sees not one would rightly say that it lacks the right to."""
        skill = self._knows.skills[WRITTEN_SKILL]
        return self._assist(chance, f"{day} first", moment_on(chance, day, OFFICE_HOURS), skill)

    def _assist(self, chance: Random, name: str, moment: datetime, skill: Skill | None = None) -> Assist:
        skill = skill or chance.choices(self._knows.skills, SKILL_WEIGHTS)[0]
        technical = skill is self._knows.skills[-1]
        user = self._knows.technical_user.sys_id if technical else chance.choice(self._users)
        moment = moment.replace(microsecond=0)
        sys_id = _sys_id(self._stories.seed, name, "use")
        kept = skill is self._knows.skills[WRITTEN_SKILL] and moment.date() >= self._stories.texts_kept_from
        if not kept:
            test = "Test" if technical and chance.random() < 0.1 else ""  # noqa: PLR2004  # one in ten
            return Assist(sys_id, moment, skill, user, execution_type=test)
        feedback, additional, _ = chance.choices(FEEDBACK, [weight for *_, weight in FEEDBACK])[0]
        after = timedelta(seconds=chance.randint(90, 3600))
        log_id = _sys_id(self._stories.seed, name, "text")
        return Assist(sys_id, moment, skill, user, "", log_id, feedback, additional, moment + after)


def _sys_id(seed: int, name: str, kind: str) -> str:
    return sha256(f"{seed} {name} {kind}".encode()).hexdigest()[:32]
