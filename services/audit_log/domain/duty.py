"""What the policy demands of an output: which rule holds for it, for which unit, and by when a person must look."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from services.audit_log.domain.calendar import due_time
from services.shared.events import governance as told
from services.shared.events.envelope import Fact, Utc
from services.shared.events.register import UNALLOCATED, Policy, ReviewerMandate, ReviewRule, UseCase
from services.shared.periods import helsinki_day

RISK_CLASSES = ("minimal", "limited", "public_text", "high_support", "high_decision", "unclassified", "prohibited")
"""By rising strictness. What nobody has classified is treated as high."""


class Rulebook(NamedTuple):
    """What the register says about reviews."""

    policies: tuple[Policy, ...] = ()
    use_cases: tuple[UseCase, ...] = ()
    mandates: tuple[ReviewerMandate, ...] = ()


class Duty(Fact):
    """The rule that holds for one output, with the due time as computed when the output was first judged."""

    policy: str
    policy_version: int
    risk_class: str
    gate: Literal["never", "before_use", "after_use", "none"]
    unit: str
    due_at: Utc | None
    accepted_evidence: tuple[str, ...]


def duty_of(output: told.Output, rules: Rulebook) -> Duty | None:
    """What the policy in force on the Helsinki day of the output demands; None when there was no policy.

    The due time counts business hours from when the source says that the output was made. Outputs outside production
    need no review.
    """
    day = helsinki_day(output.generated_at)
    policies = [policy for policy in rules.policies if policy.holds_on(day)]
    if not policies:
        return None
    policy = max(policies, key=lambda found: (found.valid_from, found.version))
    use_case = _use_case(output, [found for found in rules.use_cases if found.holds_on(day)])
    risk_class = use_case.risk_class if use_case else "unclassified"
    rule = _rule(policy, risk_class)
    gate = rule.gate if output.environment == "production" else "none"
    hours = rule.deadline_business_hours if gate in ("before_use", "after_use") else None
    return Duty(
        policy=policy.id,
        policy_version=policy.version,
        risk_class=risk_class,
        gate=gate,
        unit=output.unit or (use_case.unit if use_case else UNALLOCATED),
        due_at=due_time(output.generated_at, hours) if hours else None,
        accepted_evidence=rule.accepted_evidence,
    )


def _use_case(output: told.Output, registered: Sequence[UseCase]) -> UseCase | None:
    """The use case an output names; of a sender that knows none, the only one there is for its system."""
    if output.use_case is not None:
        return next((found for found in registered if found.id == output.use_case), None)
    for_system = [found for found in registered if output.system in found.systems]
    return for_system[0] if len(for_system) == 1 else None


def _rule(policy: Policy, risk_class: str) -> ReviewRule:
    rules = {rule.risk_class: rule for rule in policy.rules}
    fallback = ReviewRule(risk_class="high_decision", gate="before_use")
    return rules.get(risk_class) or rules.get("high_decision") or fallback  # type: ignore[call-overload]
