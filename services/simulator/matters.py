"""What an auditor is to find: outputs that went wrong in one known way each, and whose names say in which.

Each way is one that the audit log knows; the rest of the city's outputs end as chance has it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from services.simulator.city import City
from services.simulator.outputs import Made, Sent, Writer, decided, generated, used
from services.simulator.stories import Stories

DECISIONS, PERMITS, SUSPENDED = "tyollisyys-palvelutarve", "rakennuslupa-esitarkastus", "hakemusten-esikarsinta"
"""The use cases that matters are about. The last one is suspended."""

USED_UNREVIEWED = f"{DECISIONS}-used-unreviewed"
REVIEWED_AFTER_USE = f"{DECISIONS}-reviewed-after-use"
SELF_REVIEWED = f"{DECISIONS}-self-reviewed"
REJECTED = f"{DECISIONS}-rejected"
SENT_AGAIN = f"{DECISIONS}-rejected-and-sent-again"
UNTRAINED = f"{PERMITS}-reviewer-without-training"
IN_BULK = f"{PERMITS}-in-bulk"
WHILE_SUSPENDED = f"{SUSPENDED}-used-while-suspended"

UNTRAINED_REVIEWER = "person-0254@kaupunki.example"
"""Whose training for `PERMITS` ends in the city's folder."""

BULK_SIZE = 12
"""Two more than the policy lets anybody approve at once."""

_USED_AFTER, _REVIEWED_AFTER = timedelta(minutes=20), timedelta(hours=2)
_HR_SOURCE, _HR_SYSTEM, _HR_FEATURE = "city/henkilosto", "azure-openai", "application-screening"


@dataclass(frozen=True, slots=True)
class Matters:
    """The outputs of `stories.matters_day` that a story is about."""

    city: City
    stories: Stories
    writers: Mapping[str, Writer]

    def events(self) -> Iterator[Sent]:
        """All of them with their lives."""
        for tell in _ALL:
            yield from tell(self)

    def used_unreviewed(self) -> Iterator[Sent]:
        """Decided upon, and nobody has ever looked at it."""
        made = self._made(DECISIONS, USED_UNREVIEWED, 9)
        yield from (generated(made), used(made, _USED_AFTER, made.text_hash))

    def reviewed_after_use(self) -> Iterator[Sent]:
        """Decided upon, and reviewed afterwards."""
        made = self._made(DECISIONS, REVIEWED_AFTER_USE, 10)
        yield from (generated(made), used(made, _USED_AFTER, made.text_hash))
        yield from decided(made, _REVIEWED_AFTER, "approved")

    def self_reviewed(self) -> Iterator[Sent]:
        """Approved by who had asked for it."""
        made = self._made(DECISIONS, SELF_REVIEWED, 11)
        made = replace(made, requester=made.reviewer)
        yield generated(made)
        yield from decided(made, _REVIEWED_AFTER, "approved")

    def sent_again(self) -> Iterator[Sent]:
        """Rejected, and told once more as another output with not a letter changed."""
        made = self._made(DECISIONS, REJECTED, 8)
        yield generated(made)
        yield from decided(made, _USED_AFTER, "rejected")
        yield generated(replace(made, output_id=SENT_AGAIN, made_at=made.after(_REVIEWED_AFTER), text=REJECTED))

    def untrained(self) -> Iterator[Sent]:
        """Approved by somebody whose training has ended."""
        made = replace(self._made(PERMITS, UNTRAINED, 9), reviewer=UNTRAINED_REVIEWER)
        yield generated(made)
        yield from decided(made, _REVIEWED_AFTER, "approved")

    def in_bulk(self) -> Iterator[Sent]:
        """More approved at once than the policy lets count."""
        for place in range(1, BULK_SIZE + 1):
            made = self._made(PERMITS, f"{IN_BULK}-{place:02d}", 10)
            yield generated(made)
            bulk = {"bulk_id": IN_BULK, "bulk_place": place, "bulk_size": BULK_SIZE}
            yield from decided(made, _REVIEWED_AFTER, "approved", **bulk)

    def while_suspended(self) -> Iterator[Sent]:
        """Made and decided upon although its use case is suspended."""
        writer = Writer(
            SUSPENDED, _HR_SYSTEM, self.city.use_cases[SUSPENDED]["unit"], _HR_SOURCE, "decided", 0, (), None,
            feature=_HR_FEATURE,
        )  # fmt: skip
        made = Made(writer, WHILE_SUSPENDED, self._at(13), None, "", 2_100)
        yield from (generated(made), used(made, _USED_AFTER, made.text_hash))

    def _made(self, use_case: str, name: str, hour: int) -> Made:
        """Asked for by the first of the unit who does not review."""
        writer = self.writers[use_case]
        members = self.city.members(writer.unit, self.stories.matters_day)
        others = {*writer.reviewers, UNTRAINED_REVIEWER}
        requester = next(one for one in members if one not in others)
        return Made(writer, name, self._at(hour), requester, writer.reviewers[0], 1_800)

    def _at(self, hour: int) -> datetime:
        return datetime.combine(self.stories.matters_day, time(hour), UTC)


_ALL: Sequence[Callable[[Matters], Iterator[Sent]]] = (
    Matters.used_unreviewed,
    Matters.reviewed_after_use,
    Matters.self_reviewed,
    Matters.sent_again,
    Matters.untrained,
    Matters.in_bulk,
    Matters.while_suspended,
)
