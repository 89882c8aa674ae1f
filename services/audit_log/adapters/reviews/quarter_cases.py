"""What the quarter's report reads of each output: a few members of its case, so that many are read soon."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel

from services.audit_log.domain.reviews.indicators import Reviewed
from services.audit_log.domain.reviews.quarter import Counted, DrawnLine

LATE_NEWS = timedelta(days=1)


class _Output(BaseModel):
    system: str
    generated_at: datetime
    length: int | None = None


class _Demand(BaseModel):
    risk_class: str
    because: str


class _Duty(BaseModel):
    unit: str


class _Review(BaseModel):
    review_id: str
    reviewer: str | None = None
    decided_at: datetime
    decision: Literal["approved", "edited", "rejected", "abstained"]
    evidence: str
    decided_by: str = "person"
    opened_at: datetime | None = None
    bulk_id: str | None = None
    edit_ratio: float | None = None


class _Known(BaseModel):
    review: _Review
    person: str | None = None
    unit: str | None = None
    clock: str | None = None


class _Use(BaseModel):
    used_at: datetime


class _KnownUse(BaseModel):
    use: _Use


class _Opening(BaseModel):
    review_id: str
    opened_at: datetime


class CaseLine(BaseModel):
    """The members of a case (`domain/case.py`) that the report needs; others are passed over."""

    output_id: str
    output: _Output | None = None
    came: datetime | None = None
    duty: _Duty | None = None
    demand: _Demand | None = None
    second: bool = False
    reviews: Sequence[_Known] = ()
    uses: Sequence[_KnownUse] = ()
    openings: Sequence[_Opening] = ()


class Counts:
    """What is counted over single outputs."""

    def __init__(self) -> None:
        self.reviews: list[Reviewed] = []
        self._drawn: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._late_news = self._claimed = self._weighed = 0

    def add(self, found: CaseLine) -> None:
        """One more output."""
        output, demand = found.output, found.demand
        if output is None:
            return
        self._late_news += found.came is not None and found.came - output.generated_at > LATE_NEWS
        self._claimed += sum(known.clock == "claimed" for known in found.reviews)
        self._weighed += len(found.reviews)
        if demand is not None:
            self._drawn[output.system, demand.risk_class][demand.because] += 1
            self._drawn[output.system, demand.risk_class]["second"] += found.second
        self.reviews += reviews_of(found)

    def counted(self) -> Counted:
        """All of them."""
        drawn = [
            DrawnLine(*key, some["class"] + some["stricter"], some["sample"], some["top_up"], some["second"])
            for key, some in sorted(self._drawn.items())
        ]
        return Counted(drawn, self._late_news, self._claimed, self._weighed)


def reviews_of(found: CaseLine) -> Iterator[Reviewed]:
    """What a case tells about how people review: every decision of a person, whether it counts or not."""
    opened = {one.review_id: one.opened_at for one in found.openings}
    first_use = min((known.use.used_at for known in found.uses), default=None)
    for known in found.reviews:
        review, reviewer = known.review, known.person or known.review.reviewer
        if reviewer is None or review.decision == "abstained" or review.decided_by != "person":
            continue
        if review.evidence not in ("explicit_accept", "edited"):
            continue
        yield Reviewed(
            output=found.output_id,
            team=known.unit or (found.duty.unit if found.duty else ""),
            reviewer=reviewer,
            decided_at=review.decided_at,
            decision=review.decision,
            opened_at=review.opened_at or opened.get(review.review_id),
            bulk=review.bulk_id is not None,
            length=found.output.length if found.output else None,
            edit_ratio=review.edit_ratio,
            after_use=first_use is not None and first_use < review.decided_at,
        )
