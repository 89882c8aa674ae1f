"""The city's register: units, systems, prices, budgets, policies (topic `valvomo.register`, one partition).

Each event carries one fact of a register version, or says that the fact is gone (`fact` null). Nothing counts until
the `register.published` marker of that version has come: the register is applied whole.

Money is text; dates are inclusive `valid_from` and exclusive `valid_to` (null: open). Dates of tariffs and contracts
begin at midnight of the contract's time zone (default UTC), all others at midnight in Helsinki.
"""

from typing import Literal

from pydantic import Field, model_validator

from services.shared.events.dated import Dated, Day, Names, YearMonth
from services.shared.events.envelope import Event, Fact, Id, Name, Pseudonym, Sha256, Utc
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


class UseCase(Dated):
    """A use of AI with its purpose and risk class, as the AI register tells it."""

    id: Id
    name: Names
    unit: Id
    owner: Name
    purpose: Name
    systems: tuple[Id, ...]
    risk_class: Literal[
        "prohibited", "high_decision", "high_support", "public_text", "limited", "minimal", "unclassified"
    ]
    project: Name | None = None
    """Its cost is what allocation rules write this project on; without one, the unit's cost of its systems."""
    benefit: BenefitTarget | None = None


class ReviewerMandate(Dated):
    """A person may review outputs of these use cases (empty: of the unit's)."""

    reviewer: Pseudonym
    unit: Id
    use_cases: tuple[Id, ...] = ()
    trained_on: Day | None = None


class ReviewRule(Fact):
    """What a risk class demands: review before or after use, or none, and how soon.

    `deadline_business_hours` counts hours of the policy calendar (Mon-Fri 8-16 Helsinki, Finnish holidays off);
    null where no review is demanded. `accepted_evidence`: the grades of evidence that count as a review.
    """

    risk_class: Literal[
        "prohibited", "high_decision", "high_support", "public_text", "limited", "minimal", "unclassified"
    ]
    gate: Literal["never", "before_use", "after_use", "none"]
    deadline_business_hours: int | None = Field(default=None, ge=1, strict=True)
    accepted_evidence: tuple[Literal["explicit_accept", "edited", "thumb"], ...] = ("explicit_accept", "edited")


class Policy(Dated):
    """The review policy: one rule per risk class, with the record number of its approval."""

    id: Id
    version: int = Field(ge=1, strict=True)
    approved_by: Name
    rules: tuple[ReviewRule, ...]


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
