"""What was rejected and came again, unchanged, under another id."""

from collections.abc import Sequence

from services.audit_log.domain.reviews.case import Case
from services.audit_log.domain.reviews.changing import changed
from services.shared.events import governance as told


def resubmitting(case: Case, rejected: Sequence[Case]) -> Case:
    """The case, marked where somebody had rejected the same content of the same system before this output was made.

    Whether that rejection counted, or was taken back, is not asked: so the answer depends on the entries only, and not
    on how many of them were looked at together.
    """
    output = case.output
    if output is None or output.content_hash is None:
        return case
    same = [found.output_id for found in rejected if _is_same_content(found, case) and _was_rejected(found, output)]
    first = min([*same, *([case.resubmits] if case.resubmits else [])], default=None)
    return case if first == case.resubmits else changed(case, resubmits=first)


def _is_same_content(other: Case, case: Case) -> bool:
    one, two = other.output, case.output
    same = one is not None and two is not None and (one.system, one.content_hash) == (two.system, two.content_hash)
    return same and other.output_id != case.output_id


def _was_rejected(case: Case, later: told.Output) -> bool:
    """Nothing comes again before it was made, whatever the clock of the one who rejected it said."""
    if case.output is None or case.output.generated_at > later.generated_at:
        return False
    reviews = [known.review for known in case.reviews if known.review.decided_by == "person"]
    return any(review.decision == "rejected" and review.decided_at <= later.generated_at for review in reviews)
