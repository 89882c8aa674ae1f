"""The city's register: units, systems, prices, budgets, policies (topic `valvomo.register`, one partition).

Each event carries one fact of a register version, or says that the fact is gone (`fact` null). Nothing counts until
the `register.published` marker of that version has come: the register is applied whole.

Money is text; dates are inclusive `valid_from` and exclusive `valid_to` (null: open). Dates of tariffs and contracts
begin at midnight of the contract's time zone (default UTC), all others at midnight in Helsinki.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from services.shared.events.dated import Dated, Day, Names, YearMonth
from services.shared.events.envelope import Event, Fact, Id, Name, Pseudonym, Sha256, Utc
from services.shared.events.governance import Gate, RiskClass
from services.shared.events.plans import BenefitResult, BenefitTarget, Budget, PlannedChange, Programme, Vendor
from services.shared.events.prices import Contract, Tariff
from services.shared.events.usage import Currency
from services.shared.money import ExactQuantity

UNALLOCATED = "unallocated"
"""The unit of what no rule gives to a unit."""


class Unit(Dated):
    """An organisational unit: who pays. `parent` null: the city itself."""

    id: Id
    parent: Id | None = None
    name: Names
    cost_centre: Name | None = None


class Placement(Dated):
    """A person belongs to a unit."""

    person: Pseudonym
    unit: Id


class System(Fact):
    """An AI system the city buys or runs. `price_from`: our tariffs, or what the vendor reports."""

    id: Id
    vendor: Id
    name: Names | Name
    owner: Id
    price_from: Literal["tariff", "reported"] = "tariff"
    account: Name | None = None
    """The account of the city's bookkeeping that its cost goes to."""
    host: Name | None = None
    """Whose servers it runs on (FOCUS HostProviderName)."""
    service_category: Name = "AI and Machine Learning"
    """FOCUS ServiceCategory."""
    region: Name | None = None
    """Where its data is processed, unless a reading's dimension `region` says otherwise."""
    adds_to: Id | None = None
    """The system that every user has without paying for this one; this one is looked at for what it adds."""


class Match(Fact):
    """What an allocation rule looks at; every member given must fit.

    `api_key`, `project`, `group` and `path` look at the consumer's tags `api_key`, `project`, `security_group` and
    `page_path`; `path` fits every path that begins with it, all others fit by being equal.
    """

    person: Pseudonym | None = None
    account: Name | None = None
    tags: dict[Name, Name] = Field(default_factory=dict)
    system: Id | None = None
    sku: Name | None = None
    environment: Name | None = None
    api_key: Name | None = None
    project: Name | None = None
    group: Name | None = None
    path: Name | None = None


class AllocationRule(Dated):
    """Gives readings that match to a unit; rules are tried by rising `order`, the first that fits decides.

    A person's own placement is tried before every rule. `project` is written on the charges beside the cost centre;
    with a placement, the first rule that fits still says the project.
    """

    id: Id
    order: int = Field(ge=0, strict=True)
    match: Match
    unit: Id
    project: Name | None = None


class Art5Check(Fact):
    """Somebody compared a use with the prohibited practices of Article 5."""

    on: Day
    by: Name


class Covered(Fact):
    """What of its systems a use case covers. Empty: whatever is used. A final `*` fits every value that begins so."""

    models: tuple[Name, ...] = ()
    agents: tuple[Name, ...] = ()
    features: tuple[Name, ...] = ()
    regions: tuple[Name, ...] = ()


LegalRecord = Literal[
    "dpia", "fria", "eu_database_id", "workers_informed_on", "instructions", "authority", "art5_checked", "owner",
    "notice", "training",
]  # fmt: skip
"""What the law or the city asks to be on record about a use case."""


class UseCase(Dated):
    """A use of AI with its purpose and risk class, as the AI register tells it.

    `annex_iii`: its point, as "5(a)". `art6_3`: the exception of Article 6(3) that is claimed, in words.
    `instructions`: the provider's instructions for use, by their version. `notice`: how the persons concerned are
    told. `replaces`: use cases that this one was renamed, split or merged from. `covers`: what of its systems belongs
    to it.
    `suspended_from`: since when it must not be used (Article 26(5)); `resumed_at`: until when.
    """

    id: Id
    name: Names
    unit: Id
    owner: Name
    purpose: Name
    systems: tuple[Id, ...]
    risk_class: RiskClass
    project: Name | None = None
    """Its cost is what allocation rules write this project on; without one, the unit's cost of its systems."""
    benefit: BenefitTarget | None = None
    annex_iii: Name | None = None
    art6_3: Name | None = None
    profiling: bool = False
    decision_effect: Literal["none", "preparatory", "decision"] | None = None
    channel: Literal["internal", "citizen_chat", "public_text", "decision", "code"] | None = None
    environment: Name = "production"
    art5_checked: Art5Check | None = None
    dpia: Name | None = None
    fria: Name | None = None
    eu_database_id: Name | None = None
    authority: Name | None = None
    workers_informed_on: Day | None = None
    instructions: Name | None = None
    notice: Name | None = None
    training: Name | None = None
    in_use_since: Day | None = None
    design_changed_on: Day | None = None
    suspended_from: Utc | None = None
    resumed_at: Utc | None = None
    covers: Covered = Covered()
    replaces: tuple[Id, ...] = ()
    public: bool = True
    """Whether the public register shows it."""

    def is_suspended_at(self, moment: datetime) -> bool:
        """Whether it must not be used at `moment`."""
        began = self.suspended_from is not None and self.suspended_from <= moment
        return began and not (self.resumed_at is not None and self.resumed_at <= moment)


class ReviewerMandate(Dated):
    """A person may review outputs of these use cases (empty: of the unit's).

    `rank`: where reviewers of one rank disagree, the decision of a higher one stands. `reports_to`: who may not be the
    second reviewer. `training`: what `trained_on` was about; `trained_until`: the day from which it no longer counts.
    """

    reviewer: Pseudonym
    unit: Id
    use_cases: tuple[Id, ...] = ()
    trained_on: Day | None = None
    trained_until: Day | None = None
    training: Name | None = None
    capacity: Name = "reviewer"
    rank: int = Field(default=1, ge=1, le=9, strict=True)
    reports_to: Pseudonym | None = None

    def is_trained_on(self, day: date) -> bool:
        """Whether the training counts on a Helsinki day."""
        began = self.trained_on is not None and self.trained_on <= day
        return began and (self.trained_until is None or day < self.trained_until)


class EscalationStep(Fact):
    """After this share of the time to review, the role is told."""

    share: ExactQuantity
    role: Id


class ReviewRule(Fact):
    """What a risk class demands: review before or after use, or none, and how soon.

    `deadline_business_hours` counts hours of the policy calendar (Mon-Fri 8-16 Helsinki, Finnish holidays off);
    null where no review is demanded. `accepted_evidence`: the grades of evidence that count as a review; for a source
    named in `accepted_by_source` (a final `*` fits every source that begins so), what stands there instead.
    `sample_rate`: the share that is drawn; `sample_least`: so many per system and period at least. `second_rate`: the
    share that another unit reviews once more. `four_eyes`: when two reviewers are needed. `max_bulk`: more approvals
    in one bulk do not count (null: any number). `min_dwell_seconds`: a decision that came sooner after opening does
    not count, nor one without opening (null: not looked at). `one_click`: whether approving needs no reason.
    """

    risk_class: RiskClass
    gate: Gate
    deadline_business_hours: int | None = Field(default=None, ge=1, strict=True)
    accepted_evidence: tuple[Literal["explicit_accept", "edited", "thumb"], ...] = ("explicit_accept", "edited")
    accepted_by_source: dict[Name, tuple[Literal["explicit_accept", "edited", "thumb"], ...]] = Field(
        default_factory=dict
    )
    sample_rate: ExactQuantity = Decimal(1)
    sample_least: int = Field(default=0, ge=0, le=300, strict=True)
    sample_period: Literal["month", "quarter", "year"] = "quarter"
    second_rate: ExactQuantity = Decimal(0)
    reviewers: int = Field(default=1, ge=1, le=5, strict=True)
    four_eyes: Literal["none", "adverse", "all"] = "none"
    independence: Literal["not_author", "other_unit", "no_reporting_line"] = "not_author"
    training_required: bool = False
    capacity: Name | None = None
    max_bulk: int | None = Field(default=None, ge=0, strict=True)
    min_dwell_seconds: int | None = Field(default=None, ge=0, strict=True)
    one_click: bool = True
    escalation: tuple[EscalationStep, ...] = ()

    @model_validator(mode="after")
    def _shares_are_shares(self) -> "ReviewRule":
        if max(self.sample_rate, self.second_rate, *(step.share for step in self.escalation)) > 1:
            raise ValueError('sample_rate, second_rate and escalation must be at most "1"; for example "0.05"')
        return self


class LegalDate(Fact):
    """From a day on, use cases of these classes must have something on record.

    `in_use_before`: only those in use since before that day (Article 111(2)). `warn_days`: so long before the day it is
    told what is missing.
    """

    id: Id
    on: Day
    risk_classes: tuple[RiskClass, ...]
    requires: tuple[LegalRecord, ...]
    article: Name
    annex_iii_only: bool = False
    in_use_before: Day | None = None
    warn_days: int = Field(default=180, ge=0, le=3_660, strict=True)

    def concerns(self, use_case: UseCase) -> bool:
        """Whether it asks anything of this use case.

        A date for uses from before some day (Article 111(2)) asks only of those that the register dates before it, and
        whose design was not changed since: those are under the general date.
        """
        if use_case.risk_class not in self.risk_classes or (self.annex_iii_only and use_case.annex_iii is None):
            return False
        if self.in_use_before is None:
            return True
        days = (use_case.in_use_since, use_case.design_changed_on or use_case.in_use_since)
        return all(day is not None and day < self.in_use_before for day in days)


class Policy(Dated):
    """The review policy: one rule per risk class, with the record number of its approval.

    A new version never changes the past. `clock_grace_seconds`: by so much may clocks differ. `trusted_sources`: whose
    times are believed when their news come late (a final `*` fits every source that begins so). `lease_minutes`: so
    long an opened output is kept for who opened it. `orphan_hours`: so long a review waits for its output.
    `renderings`: templates that may change a text after its approval. `calendar`: whose holidays are off.
    """

    id: Id
    version: int = Field(ge=1, strict=True)
    approved_by: Name
    rules: tuple[ReviewRule, ...]
    published_on: Day | None = None
    clock_grace_seconds: int = Field(default=120, ge=0, le=86_400, strict=True)
    trusted_sources: tuple[Name, ...] = ()
    lease_minutes: int = Field(default=30, ge=1, le=1_440, strict=True)
    orphan_hours: int = Field(default=24, ge=1, le=720, strict=True)
    renderings: tuple[Name, ...] = ()
    legal_dates: tuple[LegalDate, ...] = ()


class FxRates(Fact):
    """Rates published for one banking day: units of each currency per 1 EUR."""

    day: Day
    rates: dict[Currency, ExactQuantity]
    source: Name

    @model_validator(mode="after")
    def _rates_are_positive(self) -> "FxRates":
        if not all(self.rates.values()):
            raise ValueError('rates must be positive; for example rates: {USD: "1.1172"}')
        return self


class RegisterFact(Fact):
    """Where a fact belongs: the register version it came with and its own id within its kind."""

    version: int = Field(ge=1, le=2**31 - 1, strict=True)
    fact_id: Name


class UnitChange(RegisterFact):
    fact: Unit | None


class PlacementChange(RegisterFact):
    fact: Placement | None


class SystemChange(RegisterFact):
    fact: System | None


class AllocationChange(RegisterFact):
    fact: AllocationRule | None


class TariffChange(RegisterFact):
    fact: Tariff | None


class ContractChange(RegisterFact):
    fact: Contract | None


class BudgetChange(RegisterFact):
    fact: Budget | None


class VendorChange(RegisterFact):
    fact: Vendor | None


class ProgrammeChange(RegisterFact):
    fact: Programme | None


class PlannedChangeChange(RegisterFact):
    fact: PlannedChange | None


class BenefitChange(RegisterFact):
    fact: BenefitResult | None


class UseCaseChange(RegisterFact):
    fact: UseCase | None


class ReviewerChange(RegisterFact):
    fact: ReviewerMandate | None


class PolicyChange(RegisterFact):
    fact: Policy | None


class FxChange(RegisterFact):
    fact: FxRates | None


class UnitDefined(Event):
    type: Literal["valvomo.unit.defined.v1"] = "valvomo.unit.defined.v1"
    data: UnitChange


class PersonPlaced(Event):
    type: Literal["valvomo.person.placed.v1"] = "valvomo.person.placed.v1"
    data: PlacementChange


class SystemDefined(Event):
    type: Literal["valvomo.system.defined.v1"] = "valvomo.system.defined.v1"
    data: SystemChange


class AllocationDefined(Event):
    type: Literal["valvomo.allocation.defined.v1"] = "valvomo.allocation.defined.v1"
    data: AllocationChange


class TariffPublished(Event):
    type: Literal["valvomo.tariff.published.v1"] = "valvomo.tariff.published.v1"
    data: TariffChange


class ContractDefined(Event):
    type: Literal["valvomo.contract.defined.v1"] = "valvomo.contract.defined.v1"
    data: ContractChange


class BudgetSet(Event):
    type: Literal["valvomo.budget.set.v1"] = "valvomo.budget.set.v1"
    data: BudgetChange


class VendorDefined(Event):
    type: Literal["valvomo.vendor.defined.v1"] = "valvomo.vendor.defined.v1"
    data: VendorChange


class ProgrammeDefined(Event):
    type: Literal["valvomo.programme.defined.v1"] = "valvomo.programme.defined.v1"
    data: ProgrammeChange


class ChangePlanned(Event):
    type: Literal["valvomo.change.planned.v1"] = "valvomo.change.planned.v1"
    data: PlannedChangeChange


class BenefitReported(Event):
    type: Literal["valvomo.benefit.reported.v1"] = "valvomo.benefit.reported.v1"
    data: BenefitChange


class UseCaseRegistered(Event):
    type: Literal["valvomo.usecase.registered.v1"] = "valvomo.usecase.registered.v1"
    data: UseCaseChange


class ReviewerMandated(Event):
    type: Literal["valvomo.reviewer.mandated.v1"] = "valvomo.reviewer.mandated.v1"
    data: ReviewerChange


class PolicyPublished(Event):
    type: Literal["valvomo.policy.published.v1"] = "valvomo.policy.published.v1"
    data: PolicyChange


class FxPublished(Event):
    type: Literal["valvomo.fx.published.v1"] = "valvomo.fx.published.v1"
    data: FxChange


class RegisterVersion(Fact):
    """A whole version: how many facts changed with it, and the digest of everything that now holds."""

    version: int = Field(ge=1, le=2**31 - 1, strict=True)
    changes: int = Field(ge=0, strict=True)
    digest: Sha256
    author: Id | None = None
    approver: Id | None = None
    reason: Name | None = None
    proposal: Id | None = None


class RegisterPublished(Event):
    """The marker after a version's last fact: apply it now, whole."""

    type: Literal["valvomo.register.published.v1"] = "valvomo.register.published.v1"
    data: RegisterVersion


class ProposedChange(Fact):
    """One change that waits for a second person. `kind` and `fact_id` name the fact, `body` is its JSON or null."""

    proposal: Id
    kind: Id
    fact_id: Name
    body: str | None


class ChangeProposed(Event):
    """Not a fact of the register: it counts for nothing until somebody approves it."""

    type: Literal["valvomo.change.proposed.v1"] = "valvomo.change.proposed.v1"
    data: ProposedChange


class Proposal(Fact):
    """A set of changes, whole: how many there are, the digest of them all, and who wants them and why."""

    proposal: Id
    changes: int = Field(ge=1, strict=True)
    digest: Sha256
    author: Id
    reason: Name | None = None


class ProposalMade(Event):
    type: Literal["valvomo.proposal.made.v1"] = "valvomo.proposal.made.v1"
    data: Proposal


class Decision(Fact):
    """What the second person decided; `version`: the register version that carries the changes, null when refused."""

    proposal: Id
    approver: Id
    approved: bool
    version: int | None = Field(default=None, ge=1, strict=True)


class ProposalDecided(Event):
    type: Literal["valvomo.proposal.decided.v1"] = "valvomo.proposal.decided.v1"
    data: Decision


class Closing(Fact):
    """A month's books are closed: what is recorded after `cut_off` (bus ingest time) is booked in an open month."""

    month: YearMonth
    cut_off: Utc
    closed_by: Id | None = None


class PeriodClosed(Event):
    """Counts at once; no marker is needed. The first closing of a month stands."""

    type: Literal["valvomo.period.closed.v1"] = "valvomo.period.closed.v1"
    data: Closing


RegisterChange = (
    UnitDefined
    | PersonPlaced
    | SystemDefined
    | AllocationDefined
    | TariffPublished
    | ContractDefined
    | BudgetSet
    | VendorDefined
    | ProgrammeDefined
    | ChangePlanned
    | BenefitReported
    | UseCaseRegistered
    | ReviewerMandated
    | PolicyPublished
    | FxPublished
)
"""Every event that carries one fact of the register."""
