"""No data is an alarm: a system that is usually used and tells nothing, a source whose windows no longer complete."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise

from services.cost_alerts.domain.alerts.days import A_DAY, as_weekday, usual_weekdays
from services.cost_alerts.domain.alerts.found import Found, named
from services.cost_alerts.domain.alerts.situation import Arrivals, Completed, Situation
from services.cost_alerts.domain.tariff import ANY_SKU
from services.shared.events.outcomes import Condition

WEEKS = 6
"""So far back the rhythm of a system is looked for. Long enough for a July, short enough to forget an old habit."""

SILENT_DAYS = 2
"""So many days on which use is usual must be missing, beyond the usual delay: one missing day is often only late."""

LOOK_BACK_DAYS = 28
"""A silence that began earlier is no news: who has not acted by then has ended the use of it."""

_NOTHING_KNOWN = Arrivals()


def silences(situation: Situation) -> Iterator[Found]:
    """Sources first; a system whose only sources are silent is not told of once more."""
    sources = list(_silent_sources(situation))
    silent = {found.source for found in sources}
    yield from sources
    for system, days in sorted(days_of(situation).items()):
        arrivals = situation.arrivals.get(system, _NOTHING_KNOWN)
        ends = _planned_end(situation, system)
        missing = [day for day in missing_days(days, situation.today) if day < ends]
        explained = arrivals.sources and arrivals.sources <= silent
        wanted = SILENT_DAYS + usual_delay(arrivals.delays)
        if len(missing) >= wanted and not arrivals.still_coming and not explained:
            figures = {"days": Decimal(len(missing))}
            yield Found("no_data", "critical", system, missing[0], system=system, figures=figures)


def _planned_end(situation: Situation, system: str) -> date:
    """The day from which nobody is to use a system any more, by plan; the last of the calendar where none is planned.

    Whoever plans the end of a part of its use has not ended it.
    """
    ends = (
        one.valid_from
        for one in situation.view.planned
        if (one.kind, one.system, one.sku, one.unit) == ("ending", system, ANY_SKU, None)
    )
    return min(ends, default=date.max)


def days_of(situation: Situation) -> Mapping[str, Collection[date]]:
    """System → the days on which it was used."""
    found: defaultdict[str, set[date]] = defaultdict(set)
    for use in situation.used:
        if use.readings > 0:
            found[use.system].add(use.day)
    return found


def is_heard(situation: Situation, silence: Condition) -> bool:
    """Whether the system or source of a silence has told something since it began."""
    if silence.system is not None:
        return any(day >= silence.since for day in days_of(situation).get(silence.system, ()))
    told = (one for one in situation.completed if named("source", one.name) == silence.about)
    return any(one.told_on >= silence.since for one in told)


def missing_days(used: Collection[date], today: date) -> Sequence[date]:
    """The complete days since the last use on which use was to be expected, rising.

    The rhythm is that of the weeks up to the last use: silence itself does not make silence usual.
    """
    last = max((day for day in used if day < today), default=None)
    if last is None or (today - last).days > LOOK_BACK_DAYS:
        return []
    usual = usual_weekdays(used, last, WEEKS)
    since = [last + ahead * A_DAY for ahead in range(1, (today - last).days)]
    return [day for day in since if as_weekday(day) in usual]


def usual_delay(delays: Sequence[int]) -> int:
    """How late the readings of a day usually come, in days: nine of ten came sooner or then.

    Not the longest: an outage that was made good would excuse the next one.
    """
    if not delays:
        return 0
    return max(0, sorted(delays)[(len(delays) * 9 - 1) // 10])


def suspects(used: Mapping[str, Collection[date]], today: date) -> Sequence[str]:
    """The systems that seem silent: those whose arrivals are worth asking for."""
    return [system for system, days in sorted(used.items()) if len(missing_days(days, today)) >= SILENT_DAYS]


def _silent_sources(situation: Situation) -> Iterator[Found]:
    """Sources that told nothing for as many whole days as they usually let pass; our own absence excuses them."""
    told: defaultdict[str, list[Completed]] = defaultdict(list)
    for one in situation.completed:
        told[one.name].append(one)
    for name, windows in sorted(told.items()):
        days = sorted({one.told_on for one in windows})
        missed = [day for day in situation.running if days[-1] < day < situation.today]
        if len(missed) >= _usual_pause(days) and (situation.today - days[-1]).days <= LOOK_BACK_DAYS:
            figures = {"days": Decimal(len(missed))}
            source = max(windows, key=lambda one: one.told_on).source
            yield Found("no_data", "critical", named("source", name), days[-1] + A_DAY, figures=figures, source=source)


def _usual_pause(days: Sequence[date]) -> int:
    """Days between two completions of a source, nine of ten times at most; one, where nobody can tell."""
    return max(1, usual_delay([(later - earlier).days for earlier, later in pairwise(days)]))
