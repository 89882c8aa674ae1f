"""Rubber-stamp indicators: what a team's reviews of a period look like from outside. Statistics, not verdicts. Pure.

A team is a unit. Of no team is anything told in which fewer than `LEAST_REVIEWERS` people reviewed: that would be a
score of a person. The line of all teams is left out where it and the others together would tell of such a team. A
figure of fewer than `LEAST_REVIEWS` items is not told either. No figure is kept per person, and no pseudonym leaves.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import quantiles
from typing import Literal, NamedTuple, get_args

from services.audit_log.domain.reviews.statistics import wilson

LEAST_REVIEWS = 30
"""Governance practice of audit sampling: a rate of fewer items says nothing (0 of 30 is still 0 to 11 %)."""
LEAST_REVIEWERS = 3
"""Our choice: of two, each knows which figures are the other's."""
READING_CHARACTERS_PER_SECOND = 1_000 / 60
"""Finnish is read at about 1,000 characters a minute."""
HASTY_SHARE = 0.3
"""Our choice: below this part of the reading time nobody has read the text."""
BURST_DECISIONS, BURST_PER_MINUTE = 10, 6
"""Our choice: ten decisions of one reviewer in a row, faster than six in a minute."""
UNCHANGED_BELOW = 0.01
"""Our choice: called edited, although under one character of a hundred was changed."""

Name = Literal[
    "changed", "hasty", "burst", "bulk", "never_opened", "after_use", "barely_edited", "second_agreed",
]  # fmt: skip
NAMES: tuple[Name, ...] = get_args(Name)
Look = Literal["low", "high"]

EDGES: Mapping[Name, tuple[float | None, float | None]] = {
    "changed": (0.02, 0.3),
    "hasty": (None, 0.1),
    "burst": (None, 0.05),
    "bulk": (None, 0.1),
    "never_opened": (None, 0.0),
    "after_use": (None, 0.0),
    "barely_edited": (None, 0.5),
    "second_agreed": (0.8, None),
}
"""Below the first and above the second a share is worth a question. Overrides and edits of under 2 or over 30 %, a
tenth of approvals in bulk, and any decision unopened or after use: vendors' guidance on automation bias; the others are
our choice. No law gives any of them."""


class Reviewed(NamedTuple):
    """One person's decision about one output.

    `opened_at` None: nothing says that the output was opened. `length`: characters of the output. `edit_ratio`: changed
    characters by length. `after_use`: the output had been used before.
    """

    output: str
    team: str
    reviewer: str
    decided_at: datetime
    decision: Literal["approved", "edited", "rejected"]
    opened_at: datetime | None = None
    bulk: bool = False
    length: int | None = None
    edit_ratio: float | None = None
    after_use: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`; `interval` None: too few to say anything. `look`: beyond the edge from which one should ask."""

    count: int
    of: int
    interval: tuple[float, float] | None
    look: Look | None


class Dwell(NamedTuple):
    """Seconds from opening to deciding: quartiles of `of` decisions. Idle time is not known, so it is in it."""

    of: int
    lower: float
    median: float
    upper: float


class TeamIndicators(NamedTuple):
    """What is told of a team; `team` None: of all teams together. `kappa`: agreement of two reviewers beyond chance."""

    team: str | None
    reviews: int
    dwell: Dwell | None
    shares: Mapping[Name, Share]
    kappa: float | None


class Indicators(NamedTuple):
    """All that may be told. `hidden`: how many teams are not shown, because too few people reviewed in them."""

    teams: Sequence[TeamIndicators]
    everybody: TeamIndicators | None
    hidden: int


def indicators(reviews: Iterable[Reviewed]) -> Indicators:
    """What the reviews of a period look like, team by team."""
    teams: defaultdict[str, list[Reviewed]] = defaultdict(list)
    for review in reviews:
        teams[review.team].append(review)
    hidden = [found for found in teams.values() if _reviewers(found) < LEAST_REVIEWERS]
    shown = sorted((team, found) for team, found in teams.items() if _reviewers(found) >= LEAST_REVIEWERS)
    apart = [review for found in hidden for review in found]
    whole = [review for found in teams.values() for review in found]
    tells_of_few = 0 < _reviewers(apart) < LEAST_REVIEWERS
    everybody = None if tells_of_few or _reviewers(whole) < LEAST_REVIEWERS else _of(None, whole)
    return Indicators([_of(team, found) for team, found in shown], everybody, len(hidden))


def _reviewers(reviews: Sequence[Reviewed]) -> int:
    return len({review.reviewer for review in reviews})


def _of(team: str | None, reviews: Sequence[Reviewed]) -> TeamIndicators:
    pairs = _seconds(reviews)
    counted = {**_counted(reviews), "second_agreed": (sum(one == other for one, other in pairs), len(pairs))}
    shares = {name: share_of(name, *counted[name]) for name in NAMES}
    return TeamIndicators(team, len(reviews), _dwell(reviews), shares, kappa_of(pairs))


def share_of(name: Name, count: int, of: int) -> Share:
    """A share with its interval, and whether it lies beyond the edge from which one should ask."""
    if of < LEAST_REVIEWS:
        return Share(count, of, None, None)
    low, high = EDGES[name]
    rate = count / of
    below, above = low is not None and rate < low, high is not None and rate > high
    return Share(count, of, wilson(count, of), "low" if below else "high" if above else None)


def _counted(reviews: Sequence[Reviewed]) -> dict[Name, tuple[int, int]]:
    """Per indicator how many of how many."""
    singly = [review for review in reviews if not review.bulk]
    timed = [(seconds, review.length) for review in reviews if (seconds := _seconds_open(review)) is not None]
    read = [(seconds, length / READING_CHARACTERS_PER_SECOND) for seconds, length in timed if length]
    approved = [review for review in reviews if review.decision == "approved"]
    ratios = [review.edit_ratio for review in reviews if review.decision == "edited" and review.edit_ratio is not None]
    return {
        "changed": (len(reviews) - len(approved), len(reviews)),
        "hasty": (sum(seconds < HASTY_SHARE * needed for seconds, needed in read), len(read)),
        "burst": (sum(_bursts(singly)), len(singly)),
        "bulk": (sum(review.bulk for review in approved), len(approved)),
        "never_opened": (sum(review.opened_at is None for review in reviews), len(reviews)),
        "after_use": (sum(review.after_use for review in reviews), len(reviews)),
        "barely_edited": (sum(ratio < UNCHANGED_BELOW for ratio in ratios), len(ratios)),
    }


def _seconds_open(review: Reviewed) -> float | None:
    if review.opened_at is None or review.bulk or review.opened_at > review.decided_at:
        return None
    return (review.decided_at - review.opened_at).total_seconds()


def _dwell(reviews: Sequence[Reviewed]) -> Dwell | None:
    times = [seconds for review in reviews if (seconds := _seconds_open(review)) is not None]
    if len(times) < LEAST_REVIEWS:
        return None
    lower, median, upper = quantiles(times, n=4, method="inclusive")
    return Dwell(len(times), lower, median, upper)


def _bursts(reviews: Sequence[Reviewed]) -> Iterator[int]:
    """Per reviewer, unnamed, how many decisions stood in a burst."""
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for review in reviews:
        times[review.reviewer].append(review.decided_at)
    for found in times.values():
        yield _in_bursts(sorted(found))


def _in_bursts(times: Sequence[datetime]) -> int:
    shortest = timedelta(minutes=(BURST_DECISIONS - 1) / BURST_PER_MINUTE)
    inside: set[int] = set()
    for last in range(BURST_DECISIONS - 1, len(times)):
        first = last - BURST_DECISIONS + 1
        if times[last] - times[first] < shortest:
            inside.update(range(first, last + 1))
    return len(inside)


def _seconds(reviews: Sequence[Reviewed]) -> list[tuple[str, str]]:
    """The decisions of the first and the second reviewer of outputs that two looked at, each one's first."""
    by_output: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for review in sorted(reviews, key=lambda review: review.decided_at):
        by_output[review.output].setdefault(review.reviewer, review.decision)
    return [(one, other) for found in by_output.values() for one, other in [*pairwise(found.values())][:1]]


def kappa_of(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa: 1 is full agreement, 0 what chance alone would give; None: too few, or all decided alike."""
    if len(pairs) < LEAST_REVIEWS:
        return None
    agreed = sum(one == other for one, other in pairs) / len(pairs)
    firsts, seconds = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    by_chance = sum(firsts[kind] * seconds[kind] for kind in firsts) / len(pairs) ** 2
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)
