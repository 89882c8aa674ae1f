"""A case: everything the log says about one output. Plain values; what they mean is worked out elsewhere."""

from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from services.audit_log.domain.reviews.duty import Duty
from services.shared.events import Event
from services.shared.events import governance as told
from services.shared.events.envelope import Fact, Utc
from services.shared.events.outcomes import FindingKind

State = Literal[
    "unknown_output", "generated", "exempt", "pending", "in_review", "approved", "edited", "rejected", "overdue",
    "late_reviewed", "used_unreviewed", "used_rejected", "reviewed_after_use", "superseded", "prohibited",
    "deleted_unreviewed", "voided",
]  # fmt: skip
REVIEWED_STATES: frozenset[State] = frozenset({"approved", "edited", "rejected", "late_reviewed", "reviewed_after_use"})
WAITING_STATES: frozenset[State] = frozenset({"pending", "in_review", "overdue", "used_unreviewed"})
MISSING_STATES: frozenset[State] = frozenset({"overdue", "used_unreviewed", "deleted_unreviewed"})

Standing = Literal[
    "valid", "abstained", "not_a_person", "not_evidence", "no_reviewer", "self_review", "unknown_requester",
    "other_system", "after_deletion", "other_content", "not_mandated", "other_capacity", "not_trained", "same_unit",
    "reporting_line", "bulk_over_limit", "hasty", "one_click",
]  # fmt: skip
"""Whether a review counts, and if not, the first reason why."""

OBJECTING: frozenset[Standing] = frozenset(
    {
        "valid", "not_evidence", "other_capacity", "not_trained", "same_unit", "reporting_line", "bulk_over_limit",
        "hasty", "one_click",
    }
)  # fmt: skip
"""Of who rejects, less is asked than of who approves: no strictness of the policy may turn a no into a yes."""

Result = Literal["approved", "edited", "rejected"]

Flag = Literal[
    "overdue", "late", "used_unreviewed", "used_rejected", "reviewed_after_use", "unverifiable_use", "superseded",
    "deleted", "deleted_unreviewed", "voided", "suspended", "unclassified", "step", "not_drawn", "drawn", "second",
    "stricter", "partly_reviewed", "disagreement", "no_person", "hasty", "clock_differs", "within_grace",
    "claimed_time", "conflicting", "resubmitted", "escalated", "orphan",
]  # fmt: skip
"""What is so besides the headline state. `claimed_time`: the times of a trusted source that told late are believed;
`within_grace`: a clock differed by so little that nobody minds; `partly_reviewed`: more reviewers are still needed."""


class Happened(NamedTuple):
    """An entry as it is folded: its index (`seq`), when it stood on the bus (UTC), the event.

    `contradicts`: other bytes stand under its name earlier in the log; nothing of it counts but that.
    """

    seq: int
    ingest_time: datetime
    event: Event
    contradicts: bool = False


class KnownReview(Fact):
    """A review with whether it counts, by the newest register; `standing` None: no duty is known yet.

    `at`: when it was decided, as far as that is believed. `person`: the reviewer, by the one name of all that were
    joined. `rank`, `unit`, `reports_to`: by the reviewer's mandate.
    """

    review: told.Review
    index: int
    ingest_time: Utc
    source: str
    standing: Standing | None = None
    at: Utc | None = None
    person: str | None = None
    rank: int = 1
    unit: str | None = None
    reports_to: str | None = None
    clock: Literal["differs", "within_grace", "claimed"] | None = None
    hasty: bool = False

    @property
    def moment(self) -> datetime:
        """When it was decided, as far as that is believed."""
        return self.at or self.ingest_time


class KnownUse(Fact):
    """A use of the output, and when the log was told of it."""

    use: told.Use
    index: int
    ingest_time: Utc


class Opening(Fact):
    """Somebody opened the output for review; `ended`: and decided, or handed it back."""

    review_id: str
    reviewer: str | None = None
    opened_at: Utc
    ended: bool = False


class KnownFinding(Fact):
    """A finding that the log holds."""

    kind: FindingKind
    open: bool = True
    about: str | None = None


class Case(Fact):
    """Everything the log says about one output.

    `index`, `came`: of the output's entry, and when that stood on the bus; `newest`: of the newest event that was
    folded. `hold_until`: so long the output is waited for. `second`: another unit is to review it once more.
    `contradicted`: names of what was told once more with other content. `resubmits`: a rejected output of the same
    content.
    """

    output_id: str
    output: told.Output | None = None
    index: int | None = None
    came: Utc | None = None
    newest: Utc | None = None
    duty: Duty | None = None
    demand: told.ReviewDemand | None = None
    second: bool = False
    reviews: tuple[KnownReview, ...] = ()
    uses: tuple[KnownUse, ...] = ()
    openings: tuple[Opening, ...] = ()
    escalations: tuple[told.Escalation, ...] = ()
    superseded_at: Utc | None = None
    deleted: told.Deletion | None = None
    voided: told.Voiding | None = None
    hold_until: Utc | None = None
    contradicted: tuple[str, ...] = ()
    resubmits: str | None = None
    findings: dict[str, KnownFinding] = Field(default_factory=dict)

    @property
    def erased(self) -> bool:
        """Whether its content was destroyed because the law asked for it."""
        return self.deleted is not None and self.deleted.reason == "erasure"

    @property
    def use_case(self) -> str | None:
        """The register's use case; where there is none, the one that the output names."""
        named = self.output.use_case if self.output else None
        return (self.duty.use_case if self.duty else None) or named


class Judgement(NamedTuple):
    """What a case is at a moment, and when (UTC) the passing of time alone will change that; None: never."""

    state: State
    flags: frozenset[Flag] = frozenset()
    next_look: datetime | None = None
