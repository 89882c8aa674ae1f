"""What became of AI outputs: made, used, replaced, deleted, reviewed (topic `valvomo.governance`, key: output id)."""

from typing import Literal

from pydantic import Field

from services.shared.events.envelope import ContentHash, Event, Fact, Id, Name, Pseudonym, Utc


class OutputFact(Fact):
    """Something about one AI output; its id keeps all of them in order."""

    output_id: Id


class Output(OutputFact):
    """One AI output. Its text never enters: only its id, length and keyed hash."""

    system: Id
    use_case: Id | None = None
    unit: Id | None = None
    model: Name | None = None
    generated_at: Utc
    content_hash: ContentHash | None = None
    length: int | None = Field(default=None, ge=0, strict=True)
    requester: Pseudonym | None = None
    parent_output_id: Id | None = None
    reading_id: Id | None = None
    environment: Name = "production"


class OutputGenerated(Event):
    """An AI system made an output."""

    type: Literal["valvomo.ai.output.generated.v1"] = "valvomo.ai.output.generated.v1"
    data: Output


class Use(OutputFact):
    """An output was put to use."""

    use_id: Id
    content_hash_used: ContentHash | None = None
    used_at: Utc
    kind: Literal["sent", "published", "decided", "executed", "copied"]
    actor: Pseudonym | None = None


class OutputUsed(Event):
    """An output was sent, published, decided upon, executed or copied."""

    type: Literal["valvomo.ai.output.used.v1"] = "valvomo.ai.output.used.v1"
    data: Use


class Superseding(OutputFact):
    """A newer output took this one's place before it was used."""

    superseded_by: Id
    superseded_at: Utc


class OutputSuperseded(Event):
    """A newer output replaced this one."""

    type: Literal["valvomo.ai.output.superseded.v1"] = "valvomo.ai.output.superseded.v1"
    data: Superseding


class Deletion(OutputFact):
    """The content of an output was destroyed."""

    deleted_at: Utc
    reason: Literal["retention", "erasure", "vendor", "other"]


class OutputDeleted(Event):
    """The content of an output is gone."""

    type: Literal["valvomo.ai.output.deleted.v1"] = "valvomo.ai.output.deleted.v1"
    data: Deletion


class ReviewStart(OutputFact):
    """A person opened an output for review."""

    review_id: Id
    reviewer: Pseudonym | None = None
    opened_at: Utc


class ReviewOpened(Event):
    """A review began."""

    type: Literal["valvomo.ai.review.opened.v1"] = "valvomo.ai.review.opened.v1"
    data: ReviewStart


class Review(OutputFact):
    """A person's decision about one output.

    `evidence` grades how the decision is known: somebody said so in a review (`explicit_accept`), the text was edited
    (`edited`), a thumb was clicked (`thumb`), nothing was (`none`). The policy says which grades count.
    """

    review_id: Id
    content_hash_reviewed: ContentHash | None = None
    reviewer: Pseudonym | None = None
    decided_at: Utc
    decision: Literal["approved", "edited", "rejected", "abstained"]
    evidence: Literal["explicit_accept", "edited", "thumb", "none"]
    edited_content_hash: ContentHash | None = None
    bulk_id: Id | None = None


class ReviewDecided(Event):
    """A review ended with a decision."""

    type: Literal["valvomo.ai.review.decided.v1"] = "valvomo.ai.review.decided.v1"
    data: Review
