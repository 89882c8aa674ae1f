"""What telemetry tells of reviews: evaluations of answers, and who allowed an agent to change a file or a document.

Sources, read 2026-11-21: GenAI semantic conventions, event `gen_ai.evaluation.result`; Claude Code monitoring
documentation v2.1.240, event `tool_decision`; Anthropic's office agents, span `agent.tool_execution`.

An answer is told by the span of its call, so an evaluation makes a review only. A change that an agent made is told by
nothing else, so its decision makes both: the change as a step of the agent's run, and how it was allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.shared.errors import InvalidEventError
from services.shared.events import event_id
from services.shared.periods import timestamp
from services.usage_collector.otlp.origin import Attributes, Origin, Raw, first_text, text

REVIEWERS = ("valvomo.reviewer", "kaupunki.reviewer.pseudonym")
"""Who reviewed: the conventions have no attribute for it. Without one of these a model evaluated."""

EDITING_TOOLS = frozenset({"Edit", "MultiEdit", "Write", "NotebookEdit"})
"""Claude Code's tools that change files; to read one is no output."""

DecidedBy = Literal["person", "timer", "model"]
Verdict = tuple[str, str]
"""Decision, and how it is known."""

LABELS: dict[str, Verdict] = {
    "pass": ("approved", "explicit_accept"),
    "fail": ("rejected", "explicit_accept"),
    "edited": ("edited", "edited"),
    "abstained": ("abstained", "none"),
}
"""Label of an evaluation → what it decides when a person gave it."""

PERSONS: dict[str, Verdict] = {
    "user_temporary": ("approved", "thumb"),
    "user_permanent": ("approved", "thumb"),
    "user_reject": ("rejected", "thumb"),
    "user_abort": ("abstained", "none"),  # the person ended the run; what they thought of the change is not told
}
"""Claude Code's sources that are a person. All others (`config`, `hook`) count as automatic."""

_BY_NOBODY: dict[str, Verdict] = {"accept": ("approved", "none"), "reject": ("rejected", "none")}
_WRITING = frozenset({"write", "read_write"})
_DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Change:
    """What an agent did to a file or a document, and who let it."""

    change_id: str
    tool: str | None
    at: datetime
    reviewer: str | None
    verdict: Verdict | None
    decided_by: DecidedBy


def evaluation_events(attributes: Attributes, origin: Origin, decided: datetime) -> Sequence[Raw]:
    """The review that an evaluation is; a model's is kept as a model's.

    Raises:
        InvalidEventError: a person's review that does not say of what, or what was decided.
    """
    if first_text(attributes, *REVIEWERS) is not None:
        is_review = text(attributes, "gen_ai.evaluation.name") == "human_review"
        return (_human_review(attributes, origin, decided),) if is_review else ()  # a person's score is no decision
    output_id = text(attributes, "gen_ai.response.id")
    return () if output_id is None else (_check(attributes, origin, output_id, decided),)


def decision_events(attributes: Attributes, origin: Origin, at: datetime) -> Sequence[Raw]:
    """A change by Claude Code and how it was allowed; nothing where no file changes, or no id names the change."""
    name, tool = text(attributes, "tool_use_id"), text(attributes, "tool_name")
    if name is None or tool not in EDITING_TOOLS:
        return ()
    source = text(attributes, "source") or ""
    by_person = source in PERSONS
    verdict = PERSONS[source] if by_person else _BY_NOBODY.get(text(attributes, "decision") or "")
    reviewer = origin.person(attributes) if by_person else None
    return _change_events(
        Change(name, tool, at, reviewer, verdict, "person" if by_person else "timer"), attributes, origin
    )


def execution_events(attributes: Attributes, origin: Origin, at: datetime) -> Sequence[Raw]:
    """A change to a document by an office agent and how it was allowed; nothing where it only read."""
    name = text(attributes, "tool.id")
    if name is None or text(attributes, "tool.read_write") not in _WRITING:
        return ()
    allowed = text(attributes, "tool.accept_decision")
    by_person = allowed == "manual"
    verdict = None if allowed == _DEFERRED else ("approved", "thumb" if by_person else "none")
    reviewer = origin.person(attributes) if by_person else None
    tool = text(attributes, "tool_name")
    return _change_events(
        Change(name, tool, at, reviewer, verdict, "person" if by_person else "timer"), attributes, origin
    )


def _human_review(attributes: Attributes, origin: Origin, decided: datetime) -> Raw:
    output_id = text(attributes, "gen_ai.response.id")
    verdict = LABELS.get(text(attributes, "gen_ai.evaluation.score.label") or "")
    if output_id is None or verdict is None:
        raise InvalidEventError(f"a human_review needs gen_ai.response.id and a score label: {', '.join(LABELS)}")
    said = _said(verdict, "person", first_text(attributes, *REVIEWERS)) | {"made_in": "app"}
    review_id = event_id("ai.review", origin.source(), output_id, decided)
    return _review(origin, attributes, (review_id, output_id), decided, said)


def _check(attributes: Attributes, origin: Origin, output_id: str, decided: datetime) -> Raw:
    """Several checks of one answer may be of one moment: their names tell them apart."""
    name = text(attributes, "gen_ai.evaluation.name") or ""
    decision, _ = LABELS.get(text(attributes, "gen_ai.evaluation.score.label") or "", LABELS["abstained"])
    said = _said((decision, "none"), "model", None) | {"made_in": "app"}
    review_id = event_id("ai.check", origin.source(), output_id, name, decided)
    return _review(origin, attributes, (review_id, output_id), decided, said)


def _change_events(change: Change, attributes: Attributes, origin: Origin) -> Sequence[Raw]:
    made = _change(change, attributes, origin)
    if change.verdict is None:
        return (made,)
    said = _said(change.verdict, change.decided_by, change.reviewer) | {"made_in": "vendor"}
    said["system"] = made["data"]["system"]
    review_id = event_id("ai.decision", origin.source(), change.change_id)
    return made, _review(origin, attributes, (review_id, change.change_id), change.at, said)


def _change(change: Change, attributes: Attributes, origin: Origin) -> Raw:
    data = {
        "output_id": change.change_id,
        "system": origin.system(attributes),
        "use_case": origin.use_case(attributes),
        "generated_at": timestamp(change.at),
        "requester": origin.person(attributes),
        "environment": origin.environment(attributes),
        "feature": change.tool,
        "step": True,
    }
    name = (origin.source(), event_id("ai.output.generated", origin.source(), change.change_id))
    return origin.event("valvomo.ai.output.generated.v1", name, subject=change.change_id, time=change.at, data=data)


def _said(verdict: Verdict, decided_by: DecidedBy, reviewer: str | None) -> Raw:
    decision, evidence = verdict
    return {"decision": decision, "evidence": evidence, "decided_by": decided_by, "reviewer": reviewer}


def _review(origin: Origin, attributes: Attributes, names: tuple[str, str], decided: datetime, said: Raw) -> Raw:
    review_id, output_id = names
    data = {
        "review_id": review_id,
        "output_id": output_id,
        "system": origin.said_system(attributes),
        "decided_at": timestamp(decided),
        **said,
    }
    name = (origin.source(), review_id)
    return origin.event("valvomo.ai.review.decided.v1", name, subject=output_id, time=decided, data=data)
