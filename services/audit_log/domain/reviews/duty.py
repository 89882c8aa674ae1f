"""What the policy demands of an output: which rule holds for it, for which unit, and by when a person must look."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BeforeValidator, PlainSerializer

from services.audit_log.domain.reviews.calendar import due_time
from services.audit_log.domain.reviews.changing import changed
from services.shared.events import governance as told
from services.shared.events.envelope import Fact, Name, Utc
from services.shared.events.governance import Gate, RiskClass
from services.shared.events.register import UNALLOCATED, Policy, ReviewerMandate, ReviewRule, UseCase
from services.shared.periods import helsinki_day

RISK_CLASSES: tuple[RiskClass, ...] = (
    "minimal", "limited", "public_text", "high_support", "high_decision", "unclassified", "prohibited",
)  # fmt: skip
"""By rising strictness. What nobody has classified is treated as high."""
GATES: tuple[Gate, ...] = ("none", "after_use", "before_use", "never")
"""By rising strictness."""
DECISION_CLASSES: frozenset[RiskClass] = frozenset({"high_decision", "high_support", "unclassified"})
"""Where an output may become a decision about a person."""
EFFECTS = frozenset({"sent", "published", "decided", "executed"})
"""Kinds of use that have an effect outside."""
DEFAULT_ORPHAN_HOURS = 24


class _Rules:
    """Rules as cases hold them: each is read and written once, however many cases hold it.

    A rule never changes, and a city has few, but to check and to spell one out takes longer than all else of a case.
    """

    _MOST = 512

    def __init__(self) -> None:
        self._read: dict[str, ReviewRule] = {}
        self._written: dict[int, tuple[ReviewRule, dict[str, Any]]] = {}

    def read(self, found: object) -> object:
        """The rule that stands in a case's document."""
        if not isinstance(found, dict):
            return found
        name = str(found)
        rule = self._read.get(name)
        if rule is None:
            rule = ReviewRule.model_validate(found)
            _keep(self._read, self._MOST, name, rule)
        return rule

    def written(self, rule: ReviewRule) -> dict[str, Any]:
        """What of a rule is not as it is by default, as JSON has it."""
        known = self._written.get(id(rule))
        if known is None:  # the rule is kept beside its document: while it is, nothing else has its `id`
            known = rule, rule.model_dump(mode="json", exclude_defaults=True)
            _keep(self._written, self._MOST, id(rule), known)
        return known[1]


_K = TypeVar("_K")
_V = TypeVar("_V")


def _keep(kept: dict[_K, _V], most: int, key: _K, value: _V) -> None:
    if len(kept) >= most:
        kept.clear()
    kept[key] = value


_rules = _Rules()
_Rule = Annotated[ReviewRule, BeforeValidator(_rules.read), PlainSerializer(_rules.written, when_used="json")]


class Rulebook(NamedTuple):
    """What the register says about reviews, and which names mean the same person (old → new)."""

    policies: tuple[Policy, ...] = ()
    use_cases: tuple[UseCase, ...] = ()
    mandates: tuple[ReviewerMandate, ...] = ()
    joined: Mapping[str, str] = MappingProxyType({})

    def person(self, pseudonym: str | None) -> str | None:
        """The one name of a person. Names that were joined in a circle mean the smallest of them."""
        if pseudonym is None or pseudonym not in self.joined:
            return pseudonym
        passed = [pseudonym]
        while (following := self.joined.get(passed[-1])) is not None:
            if following in passed:
                return min(passed[passed.index(following) :])
            passed.append(following)
        return passed[-1]

    def names(self, person: str | None) -> set[str]:
        """The other names that mean this person."""
        return {name for name in self.joined if self.person(name) == person}


_MOST_DAYS = 1_024
_MOST_FORMS = 4_096


class _Holding(NamedTuple):
    """What of a register holds on a day. `forms`: duties that differ from those of outputs in their times only."""

    policy: Policy | None
    use_cases: Sequence[UseCase]
    by_name: Mapping[str, UseCase]
    forms: dict[tuple[str | None, str, bool], "Duty"]


class _Held:
    """What holds on the days that were asked for last, by the newest register: very many outputs are of one day."""

    def __init__(self) -> None:
        self._known: tuple[object, object, dict[date, _Holding]] = (None, None, {})

    def on(self, day: date, rules: Rulebook) -> _Holding:
        """What holds on a Helsinki day. Another register is known by being another object: none is ever changed."""
        known_policies, known_use_cases, days = self._known
        if known_policies is not rules.policies or known_use_cases is not rules.use_cases:
            days = {}
            self._known = rules.policies, rules.use_cases, days
        found = days.get(day)
        if found is None:
            in_force = [policy for policy in rules.policies if policy.holds_on(day)]
            newest = max(in_force, key=lambda one: (one.valid_from, one.version), default=None)
            use_cases = tuple(one for one in rules.use_cases if one.holds_on(day))
            found = _Holding(newest, use_cases, {one.id: one for one in reversed(use_cases)}, {})
            _keep(days, _MOST_DAYS, day, found)
        return found


_held = _Held()


class Duty(Fact):
    """The rule that holds for one output, as the policy had it when the output was first judged.

    `gate`: the rule's, or `none` where the output is not from production. `use_case`: the register's entry, which may
    have replaced the one that the output names. `counts_from`: where the due time begins. `sampled`: demanded only of
    outputs that were drawn. `because`: `stricter` where a stricter class took hold while nobody had reviewed it.
    """

    policy: str
    policy_version: int
    risk_class: RiskClass
    gate: Gate
    unit: str
    use_case: str | None = None
    rule: _Rule
    counts_from: Utc
    due_at: Utc | None
    sampled: bool = False
    suspended: bool = False
    because: Literal["class", "stricter"] = "class"
    grace_seconds: int = 120
    trusted_sources: tuple[Name, ...] = ()
    lease_minutes: int = 30
    renderings: tuple[Name, ...] = ()

    @property
    def grace(self) -> timedelta:
        """By so much may clocks differ."""
        return timedelta(seconds=self.grace_seconds)


def duty_of(output: told.Output, rules: Rulebook, came: datetime | None = None) -> Duty | None:
    """What the policy in force on the Helsinki day of the output demands; None when there was no policy.

    The due time counts business hours from when the source says that the output was made; of one that was told (`came`,
    ingest time) before it was made, from when it was told. Outputs outside production need no review.
    """
    holding = _held.on(helsinki_day(output.generated_at), rules)
    policy = holding.policy
    if policy is None:
        return None
    use_case = holding.by_name.get(output.use_case) if output.use_case is not None else None
    if use_case is None:
        use_case = use_case_of(output, holding.use_cases, rules.use_cases)
    production = output.environment == "production" and (use_case is None or use_case.environment == "production")
    unit = output.unit or (use_case.unit if use_case else UNALLOCATED)
    key = use_case.id if use_case else None, unit, production
    form = holding.forms.get(key)
    if form is None:
        form = _form(policy, use_case, unit, production=production)
        _keep(holding.forms, _MOST_FORMS, key, form)
    begins = _begins(output, policy, came)
    hours = form.rule.deadline_business_hours if form.gate in ("before_use", "after_use") else None
    suspended = production and use_case is not None and use_case.is_suspended_at(begins)
    return changed(form, counts_from=begins, due_at=due_time(begins, hours) if hours else None, suspended=suspended)


def _form(policy: Policy, use_case: UseCase | None, unit: str, *, production: bool) -> Duty:
    """The duty of every output of a unit and use case, but for its times."""
    risk_class: RiskClass = use_case.risk_class if use_case else "unclassified"
    rule = rule_of(policy, risk_class)
    gate: Gate = rule.gate if production else "none"
    return Duty(
        policy=policy.id,
        policy_version=policy.version,
        risk_class=risk_class,
        gate=gate,
        unit=unit,
        use_case=use_case.id if use_case else None,
        rule=rule,
        counts_from=datetime.min.replace(tzinfo=UTC),
        due_at=None,
        sampled=gate in ("before_use", "after_use") and rule.sample_rate < 1,
        grace_seconds=policy.clock_grace_seconds,
        trusted_sources=policy.trusted_sources,
        lease_minutes=policy.lease_minutes,
        renderings=policy.renderings,
    )


def stricter_than(new: Duty, old: Duty) -> bool:
    """Whether the new duty asks for more, and in nothing for less."""
    classes = RISK_CLASSES.index(new.risk_class) - RISK_CLASSES.index(old.risk_class)
    gates = GATES.index(new.gate) - GATES.index(old.gate)
    return classes >= 0 and gates >= 0 and (classes > 0 or gates > 0)


def from_then_on(new: Duty, old: Duty, moment: datetime) -> Duty:
    """The stricter duty, counted from the moment at which it took hold, and due no later than the old one was."""
    begins = max(new.counts_from, moment)
    hours = new.rule.deadline_business_hours if new.due_at else None
    due = due_time(begins, hours) if hours else None
    if due is not None and old.due_at is not None:
        due = min(due, old.due_at)
    return changed(new, because="stricter", counts_from=begins, due_at=due)


def hold_until(came: datetime, rules: Rulebook) -> datetime:
    """How long a review or a use waits for its output to be told."""
    newest = _held.on(helsinki_day(came), rules).policy
    return came + timedelta(hours=newest.orphan_hours if newest else DEFAULT_ORPHAN_HOURS)


def use_case_of(output: told.Output, holding: Sequence[UseCase], known: Sequence[UseCase]) -> UseCase | None:
    """The use case an output belongs to; None: nobody has said.

    Of a sender that names none, the only one there is for its system. A name that holds no more falls to the one entry
    that replaces it on that day, were it by way of others.
    """
    if output.use_case is None:
        for_system = [found for found in holding if output.system in found.systems]
        return for_system[0] if len(for_system) == 1 else None
    named = next((found for found in holding if found.id == output.use_case), None)
    return named or _successor(output.use_case, holding, known)


def rule_of(policy: Policy, risk_class: RiskClass) -> ReviewRule:
    """What a policy says of a class; of one that it passes over, what it says of decisions."""
    rules = {rule.risk_class: rule for rule in policy.rules}
    return rules.get(risk_class) or rules.get("high_decision") or _STRICT


def fits(value: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns names the value; a final `*` fits whatever begins so."""
    return any(value.startswith(found[:-1]) if found.endswith("*") else value == found for found in patterns)


_STRICT = ReviewRule(risk_class="high_decision", gate="before_use")


def _begins(output: told.Output, policy: Policy, came: datetime | None) -> datetime:
    ahead = came is not None and output.generated_at > came + timedelta(seconds=policy.clock_grace_seconds)
    return came if came is not None and ahead else output.generated_at


def _successor(name: str, holding: Sequence[UseCase], known: Sequence[UseCase]) -> UseCase | None:
    names = {name}
    while True:
        replacing = {found.id: found for found in holding if names & set(found.replaces)}
        if replacing:
            return next(iter(replacing.values())) if len(replacing) == 1 else None
        wider = names | {found.id for found in known if names & set(found.replaces)}
        if wider == names:
            return None
        names = wider
