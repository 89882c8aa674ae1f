"""What became of AI outputs: made, used, replaced, deleted, reviewed (topic `valvomo.governance`, key: output id).

What is not about one output (a draw, a case or a pseudonym that was joined to another) has its subject as key.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.shared.events.dated import Day
from services.shared.events.envelope import ContentHash, Event, Fact, Id, Name, Pseudonym, Sha256, Utc
from services.shared.money import ExactQuantity

RiskClass = Literal["prohibited", "high_decision", "high_support", "public_text", "limited", "minimal", "unclassified"]
"""What a use of AI is by the AI Act and the city's policy; of its outputs nobody has classified: `unclassified`."""

Gate = Literal["never", "before_use", "after_use", "none"]
"""When a class asks for review. `never`: the use itself is forbidden."""

Link = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^https://[^\s\x00-\x1f\x7f\"<>]+$")]
"""Where a vendor keeps a text, for who may open it there."""


class OutputFact(Fact):
    """Something about one AI output; its id keeps all of them in order."""

    output_id: Id


class Output(OutputFact):
    """One AI output. Its text never enters: only its id, length, keyed hash and where the vendor keeps it.

    `conversation_hash`: of the content hashes of all turns up to this one, in their order, as the sender made it.
    `step`: an inner step of an agent's run, without effect outside. `adverse`: it is to a person's disadvantage.
    `case_ref`: the matter it belongs to, by an id that names nobody.
    """

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
    agent: Name | None = None
    feature: Name | None = None
    region: Name | None = None
    prompt_template: Name | None = None
    conversation_id: Id | None = None
    conversation_hash: ContentHash | None = None
    step: bool = False
    adverse: bool | None = None
    case_ref: Id | None = None
    content_ref: Link | None = None


class OutputGenerated(Event):
    """An AI system made an output."""

    type: Literal["valvomo.ai.output.generated.v1"] = "valvomo.ai.output.generated.v1"
    data: Output


class Rendering(Fact):
    """What a declared template (a letterhead) made of a text: `content_hash` is what went into it."""

    template: Name
    content_hash: ContentHash


class Use(OutputFact):
    """An output was put to use. `content_hash_used`: of what really went out; of `copied`, a part of the text."""

    use_id: Id
    content_hash_used: ContentHash | None = None
    used_at: Utc
    kind: Literal["sent", "published", "decided", "executed", "copied"]
    actor: Pseudonym | None = None
    target_ref: Name | None = None
    rendering: Rendering | None = None


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
    """A decision about one output.

    `evidence` grades how the decision is known: somebody said so in a review (`explicit_accept`), the text was edited
    (`edited`), a thumb was clicked (`thumb`), nothing was (`none`). The policy says which grades count. `decided_by`:
    only persons review; a timer's or a model's word is kept as what it is. `replaces`: the earlier review of the same
    reviewer that this one takes back. In a bulk each output has a review of its own, with its place (from 1) and how
    many there were. `capacity`: as what the reviewer decided (reviewer, editor). `edit_ratio`: changed characters by
    length. `system`: whose output it is, as far as the sender may speak for it; of another system's it is no review.
    """

    review_id: Id
    system: Id | None = None
    content_hash_reviewed: ContentHash | None = None
    reviewer: Pseudonym | None = None
    decided_at: Utc
    decision: Literal["approved", "edited", "rejected", "abstained"]
    evidence: Literal["explicit_accept", "edited", "thumb", "none"]
    edited_content_hash: ContentHash | None = None
    bulk_id: Id | None = None
    bulk_place: int | None = Field(default=None, ge=1, strict=True)
    bulk_size: int | None = Field(default=None, ge=1, strict=True)
    opened_at: Utc | None = None
    decided_by: Literal["person", "timer", "model"] = "person"
    capacity: Name | None = None
    reason_code: Id | None = None
    replaces: Id | None = None
    edit_ratio: ExactQuantity | None = None
    adverse: bool | None = None
    conversation_hash: ContentHash | None = None
    evidence_shown: tuple[Name, ...] = ()
    made_in: Literal["valvomo", "vendor", "app"] | None = None


class ReviewDecided(Event):
    """A review ended with a decision."""

    type: Literal["valvomo.ai.review.decided.v1"] = "valvomo.ai.review.decided.v1"
    data: Review


class ReviewDemand(OutputFact):
    """What is demanded of an output and by when, as computed then: a calendar edited later changes nothing.

    `because`: of its class, drawn by its hash, drawn to reach the least number of a period, drawn for a second review,
    or a stricter rule took hold while nobody had reviewed it. `period`: whose draw it was.
    """

    policy: Id
    policy_version: int = Field(ge=1, strict=True)
    risk_class: RiskClass
    gate: Gate
    unit: Id
    due_at: Utc | None
    reviewers: int = Field(default=1, ge=1, strict=True)
    because: Literal["class", "sample", "top_up", "second", "stricter"]
    period: Id | None = None


class ReviewRequested(Event):
    """The log says that a person must review an output."""

    type: Literal["valvomo.ai.review.requested.v1"] = "valvomo.ai.review.requested.v1"
    data: ReviewDemand


class ReviewRefusal(OutputFact):
    """Who had opened an output hands it back without a decision."""

    review_id: Id
    reviewer: Pseudonym | None = None
    declined_at: Utc
    reason_code: Id | None = None


class ReviewDeclined(Event):
    """A reviewer hands an output back."""

    type: Literal["valvomo.ai.review.declined.v1"] = "valvomo.ai.review.declined.v1"
    data: ReviewRefusal


class Escalation(OutputFact):
    """A share of the time to review has passed, and now this role is to see to it."""

    role: Id
    share: ExactQuantity
    due_at: Utc
    escalated_at: Utc


class ReviewEscalated(Event):
    """The policy's escalation of a review that nobody has made. Once per output, role and share."""

    type: Literal["valvomo.ai.review.escalated.v1"] = "valvomo.ai.review.escalated.v1"
    data: Escalation


class Voiding(OutputFact):
    """An output was told in error: it needs nothing any more, and stays visible."""

    voided_at: Utc
    reason: Name
    approver: Id


class OutputVoided(Event):
    """Somebody who may says that there is no such output."""

    type: Literal["valvomo.ai.output.voided.v1"] = "valvomo.ai.output.voided.v1"
    data: Voiding


class Joining(Fact):
    """From now on the old name means the new one. Older entries stay as they are."""

    old: Id
    new: Id
    joined_at: Utc
    reason: Name | None = None


class CaseMerged(Event):
    """Two matters turned out to be one."""

    type: Literal["valvomo.ai.case.merged.v1"] = "valvomo.ai.case.merged.v1"
    data: Joining


class PseudonymJoining(Joining):
    """Two pseudonyms turned out to be one person, or a key was changed."""

    old: Pseudonym
    new: Pseudonym


class PseudonymsJoined(Event):
    """Two pseudonyms are one person."""

    type: Literal["valvomo.person.pseudonyms_joined.v1"] = "valvomo.person.pseudonyms_joined.v1"
    data: PseudonymJoining


class SampleCommitment(Fact):
    """The salt of a period's draws is fixed, and nobody can see it: `commitment` is the SHA-256 of its bytes."""

    period: Id
    first_day: Day
    last_day: Day
    commitment: Sha256
    committed_at: Utc


class SampleCommitted(Event):
    """Before a period begins: its draw is fixed."""

    type: Literal["valvomo.ai.sample.committed.v1"] = "valvomo.ai.sample.committed.v1"
    data: SampleCommitment


class SampleReveal(Fact):
    """The salt (hex) of a period that is over: whoever wants can draw again."""

    period: Id
    salt: Sha256
    revealed_at: Utc


class SampleRevealed(Event):
    """After a period: how its outputs were drawn."""

    type: Literal["valvomo.ai.sample.revealed.v1"] = "valvomo.ai.sample.revealed.v1"
    data: SampleReveal


class SampleDraw(Fact):
    """A period's draw by hash did not reach the policy's least number, so more were drawn after its end.

    Outputs are ordered by SHA-256 of `seed` and their id; `seed` is the root (hex) of the first checkpoint that
    covers the period, of `checkpoint_size` entries. `output_ids`: those drawn by this.
    """

    period: Id
    system: Id
    risk_class: RiskClass
    population: int = Field(ge=0, strict=True)
    drawn_by_hash: int = Field(ge=0, strict=True)
    least: int = Field(ge=0, strict=True)
    checkpoint_size: int = Field(ge=0, strict=True)
    seed: Sha256
    output_ids: Annotated[tuple[Id, ...], Field(max_length=300)]


class SampleDrawn(Event):
    """More outputs of a period were drawn."""

    type: Literal["valvomo.ai.sample.drawn.v1"] = "valvomo.ai.sample.drawn.v1"
    data: SampleDraw
