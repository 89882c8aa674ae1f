"""What may be pruned: how old it must be, what holds it back, and what stays because it is still needed.

Pruning ends at a whole bundle of 256 entries, and where the first reason against it lies. Of what lies before, entries
of the register, those of outputs that are not settled, and those that tell of the log's own life stay.
"""

from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from services.audit_log.domain.reviews.folding import REVIEWED_STATES, Case, State
from services.shared.events import governance, outcomes
from services.shared.events import log as told
from services.shared.tlog.tiles import TILE_WIDTH

KEPT_TYPES = frozenset(
    str(kind.model_fields["type"].default)
    for kind in (
        told.LogSucceeded,
        told.LogRestored,
        told.LogKeyChanged,
        told.LogHoldPlaced,
        told.LogHoldReleased,
        told.LogPruned,
        outcomes.IncidentOpened,
        outcomes.IncidentNotified,
        outcomes.IncidentClosed,
        outcomes.RoleChanged,
        outcomes.UseCaseCosted,
        governance.SampleCommitted,
        governance.SampleRevealed,
        governance.SampleDrawn,
        governance.CaseMerged,
        governance.PseudonymsJoined,
    )
)
"""Types of events that are never pruned: without them nobody could tell later what became of the log, or what it says
about incidents, roles, samples and names that became one.
"""

_FINDINGS = frozenset(
    str(kind.model_fields["type"].default) for kind in (outcomes.FindingOpened, outcomes.FindingClosed)
)

SETTLED_STATES: frozenset[State] = REVIEWED_STATES | {"exempt", "superseded", "voided"}


def stays(event_type: str, output_id: str | None) -> bool:
    """Whether an entry is never pruned, for what it is. `output_id`: the output it is about, None: it is about none."""
    return event_type in KEPT_TYPES or (event_type in _FINDINGS and output_id is None)


class Held(NamedTuple):
    """A hold on entries `first` to `last`, both inclusive (None: and all that come)."""

    hold: str
    first: int
    last: int | None


class Limit(NamedTuple):
    """Entries with an index of `end` or more stay, because of `reason`."""

    end: int
    reason: str


class Range(NamedTuple):
    """Entries from `first` up to `before`, exclusive."""

    first: int
    before: int


def months_before(moment: datetime, months: int) -> datetime:
    """The same time of day so many months earlier; on the month's last day where it has no such day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


def settled(case: Case, state: State) -> bool:
    """Whether nobody needs to look at this output any more: no finding is open, and nothing is waited for."""
    waits = any(finding.open for finding in case.findings.values())
    return not waits and (state in SETTLED_STATES or case.erased)


def limits_of_holds(holds: Iterable[Held], first: int) -> list[Limit]:
    """What holds say about entries from `first` on."""
    return [
        Limit(max(held.first, first), f"the hold {held.hold} keeps entries from {held.first} on")
        for held in holds
        if held.last is None or held.last >= first
    ]


def tightest(limits: Sequence[Limit]) -> Limit:
    """The limit that ends first."""
    return min(limits, key=lambda limit: limit.end)


def whole_bundles(end: int) -> int:
    """The largest multiple of 256 up to `end`."""
    return end // TILE_WIDTH * TILE_WIDTH


def chosen(first: int, limit: Limit, through: int | None) -> Range | str:
    """The entries to be pruned, from `first` on; or why none can be, in a sentence.

    Args:
        first: the lowest index that was not pruned yet.
        limit: the tightest one.
        through: the last index that the operator names; None: as far as the limit lets it.
    """
    before = whole_bundles(limit.end) if through is None else through + 1
    if before % TILE_WIDTH:
        below = whole_bundles(before) - 1
        return f"pruning ends with a whole bundle of {TILE_WIDTH} entries: expected --through {below} or {below + 256}"
    if before > limit.end:
        return f"entries up to {before - 1} cannot be pruned: {limit.reason}"
    if before <= first:
        return f"there is no whole bundle to prune behind entry {first}: {limit.reason}"
    return Range(first, before)
