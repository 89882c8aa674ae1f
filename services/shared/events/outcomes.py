"""What Valvomo itself decided or noticed (topic `valvomo.outcomes`).

Decisions are made once: a rebuild reads them here.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.shared.events.envelope import Event, Fact, Id, Name, Pseudonym, Utc
from services.shared.money import ExactDecimal, ExactQuantity

FindingKind = Literal[
    "overdue_review", "used_unreviewed", "used_rejected", "prohibited_use", "unclassified_use", "orphan_review",
    "conflicting_duplicate", "self_review", "reviewer_not_trained", "reviewer_not_mandated",
    "review_of_unknown_content", "bulk_over_limit", "clock_differs", "deleted_unreviewed", "use_of_unlogged_output",
    "unverifiable_use", "hasty_review", "no_person_reviewed", "resubmitted_after_reject", "use_while_suspended",
    "uncovered_use", "record_missing", "sample_short", "incident_late",
]  # fmt: skip
"""What a person must look at. The last four are about a use case, a system or an incident, all others about an output.
"""


class Crossing(Fact):
    """A budget's use, or its forecast for the year, passed a threshold.

    (budget, period, threshold, epoch), and `measure` when it is not `used`, name it; it is told once. `amount_eur`:
    with amendments in force and what was carried over. `committed_eur`: what contracts still demand this year.
    """

    budget: Id
    unit: Id
    period: int = Field(strict=True)
    threshold: ExactQuantity
    epoch: int = Field(ge=0, strict=True)
    used_eur: ExactDecimal
    amount_eur: ExactDecimal
    recipients: tuple[Id, ...]
    spoken: bool
    """False when a more advanced threshold, or the crossing `told_by`, of the same moment spoke in its place."""
    measure: Literal["used", "forecast"] = "used"
    committed_eur: ExactDecimal | None = None
    forecast_eur: ExactDecimal | None = None
    told_by: Id | None = None
    """The crossing of a budget below, whose message tells these recipients of this one too."""
    cause: Literal["use", "amendment", "correction"] = "use"
    """What began the count anew, when this is the first word of a new epoch."""
    decision: Name | None = None


class ThresholdCrossed(Event):
    type: Literal["valvomo.threshold.crossed.v1"] = "valvomo.threshold.crossed.v1"
    data: Crossing


class Receding(Fact):
    """A correction took a budget's use back below thresholds that were told: the next epoch begins."""

    budget: Id
    unit: Id
    period: int = Field(strict=True)
    epoch: int = Field(ge=0, strict=True)
    """The epoch that ended."""
    thresholds: tuple[ExactQuantity, ...]
    used_eur: ExactDecimal
    amount_eur: ExactDecimal


class ThresholdReceded(Event):
    type: Literal["valvomo.threshold.receded.v1"] = "valvomo.threshold.receded.v1"
    data: Receding


AlertKind = Literal[
    "no_data", "price_missing", "price_rising", "tariff_expiring", "pool_running_dry", "contract_ending", "anomaly"
]
"""What people are told of besides thresholds."""

Severity = Literal["info", "warning", "critical"]


class Condition(Fact):
    """Something that somebody should do something about, for as long as it lasts.

    `alert_id` names (kind, about, since): the same condition is raised once. `about`: which source, tariff, pool,
    contract or series it is. `figures`: exact figures by name, euro in names that end in `_eur`. `recipients`: roles.
    """

    alert_id: Id
    kind: AlertKind
    severity: Severity
    unit: Id | None
    system: Id | None
    about: Name
    since: date
    figures: dict[Name, ExactDecimal] = Field(default_factory=dict)
    until: date | None = None
    """The day by which somebody must have acted: when a pool is dry, a contract or price ends."""
    recipients: tuple[Id, ...] = ()


class AlertRaised(Event):
    type: Literal["valvomo.alert.raised.v1"] = "valvomo.alert.raised.v1"
    data: Condition


class Resolving(Fact):
    """The condition is gone; should it come back, it is a new alert with a new id."""

    alert_id: Id


class AlertResolved(Event):
    type: Literal["valvomo.alert.resolved.v1"] = "valvomo.alert.resolved.v1"
    data: Resolving


class Acknowledgement(Fact):
    """A role says that it has seen an alert (or a crossing) and acts. The first one counts."""

    alert_id: Id
    role: Id
    via: Literal["link", "command"]


class AlertAcknowledged(Event):
    type: Literal["valvomo.alert.acknowledged.v1"] = "valvomo.alert.acknowledged.v1"
    data: Acknowledgement


class Delivery(Fact):
    """A message left: to which role, by which channel. Addresses stay in settings."""

    alert_id: Id
    recipient: Id
    channel: Literal["mail", "webhook", "teams"]
    attempts: int = Field(ge=1, strict=True)


class AlertSent(Event):
    type: Literal["valvomo.alert.sent.v1"] = "valvomo.alert.sent.v1"
    data: Delivery


class Restatement(Fact):
    """Old charges were priced again under a newer register version; `changed_eur` nets to the difference."""

    register_version: int = Field(ge=1, strict=True)
    readings: int = Field(ge=0, strict=True)
    before_eur: dict[Id, ExactDecimal]
    after_eur: dict[Id, ExactDecimal]
    author: Id | None = None
    approver: Id | None = None
    reason: Name | None = None


class LedgerRestated(Event):
    type: Literal["valvomo.ledger.restated.v1"] = "valvomo.ledger.restated.v1"
    data: Restatement


class BegunDay(Fact):
    """A Helsinki day has begun: what costs by time alone is charged up to it."""

    day: date


class DayBegun(Event):
    type: Literal["valvomo.day.begun.v1"] = "valvomo.day.begun.v1"
    data: BegunDay


class PostedLine(Fact):
    """What one posting books: net and VAT in euro and whole cents."""

    cost_centre: Name | None
    project: Name | None
    account: Name | None
    unit: Id
    vat_rate: ExactQuantity | None
    net_eur: ExactDecimal
    vat_eur: ExactDecimal | None


class PostingBatch(Fact):
    """Lines handed to the city's bookkeeping, once: a later batch of the month has only what has changed since."""

    batch: Id
    month: Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
    number: int = Field(ge=1, strict=True)
    part: int = Field(ge=1, strict=True)
    parts: int = Field(ge=1, strict=True)
    lines: tuple[PostedLine, ...]


class PostingsMade(Event):
    type: Literal["valvomo.postings.made.v1"] = "valvomo.postings.made.v1"
    data: PostingBatch


class Finding(Fact):
    """Something about an AI output, or a use of AI, that a person must look at. Opened once, never deleted.

    `about`: what it is about besides: a review, a model that no entry covers, a record that is missing.
    """

    finding_id: Id
    kind: FindingKind
    output_id: Id | None = None
    use_case: Id | None
    system: Id | None
    unit: Id
    policy: Id | None
    policy_version: int | None = Field(ge=1, strict=True)
    due_at: Utc | None
    detected_at: Utc
    severity: Literal["note", "warning", "severe"] | None = None
    about: Name | None = None


class FindingOpened(Event):
    type: Literal["valvomo.finding.opened.v1"] = "valvomo.finding.opened.v1"
    data: Finding


class FindingClosing(Fact):
    """Why a finding no longer needs anybody.

    `settled`: somebody looked at it and says so, with a reason and as a role or person (`closed_by`). `recorded`: what
    was missing is there. `voided`: there was no such output.
    """

    finding_id: Id
    output_id: Id | None = None
    closed_at: Utc
    reason: Literal[
        "reviewed_late", "reviewed_after_use", "reviewed_in_time", "superseded", "erased", "settled", "recorded",
        "voided", "resolved",
    ]  # fmt: skip
    review_id: Id | None = None
    closed_by: Id | None = None
    note: Name | None = None


class FindingClosed(Event):
    type: Literal["valvomo.finding.closed.v1"] = "valvomo.finding.closed.v1"
    data: FindingClosing


class Gap(Fact):
    """Days for which a source has not told everything."""

    source_name: Id
    first_day: date
    last_day: date


class CollectionGapFound(Event):
    type: Literal["valvomo.collection.gap_found.v1"] = "valvomo.collection.gap_found.v1"
    data: Gap


class DeadLetter(Fact):
    """A record was set aside. Its bytes are on the dead-letter topic; here only a keyed hash and length."""

    group: Id
    topic: Id
    partition: int = Field(ge=0, strict=True)
    offset: int = Field(ge=0, strict=True)
    value_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    length: int = Field(ge=0, strict=True)
    reason: Name


class RecordDeadLettered(Event):
    type: Literal["valvomo.record.dead_lettered.v1"] = "valvomo.record.dead_lettered.v1"
    data: DeadLetter


class Conflict(Fact):
    """The same revision of a reading came with other content; the first in bus order stands."""

    reading_source: Name
    reading_id: Id
    revision: int = Field(ge=0, strict=True)


class ReadingConflictFound(Event):
    type: Literal["valvomo.reading.conflict_found.v1"] = "valvomo.reading.conflict_found.v1"
    data: Conflict


CostBand = Literal["none", "under_1000", "under_10000", "under_50000", "under_250000", "over_250000"]
"""Euro of a use case's last twelve whole months, as the public is told."""


class UseCaseCost(Fact):
    """What a use case costs, in bands, so that a reader of the log can tell it without seeing the ledger."""

    use_case: Id
    as_of: date
    band: CostBand


class UseCaseCosted(Event):
    """A use case's cost moved to another band."""

    type: Literal["valvomo.usecase.costed.v1"] = "valvomo.usecase.costed.v1"
    data: UseCaseCost


IncidentKind = Literal["serious", "widespread", "death", "other"]
"""Of Article 3(49) and 73: a death; a widespread infringement or critical infrastructure; another serious one."""


class Incident(Fact):
    """Something went wrong with a use of AI. No names: `what` says it in a few words. `opened_by`: a person or a role.

    The clocks of Article 73 run from `aware_at`.
    """

    incident_id: Id
    kind: IncidentKind
    use_case: Id | None = None
    system: Id | None = None
    output_id: Id | None = None
    unit: Id
    aware_at: Utc
    what: Name
    opened_by: Id


class IncidentOpened(Event):
    type: Literal["valvomo.incident.opened.v1"] = "valvomo.incident.opened.v1"
    data: Incident


class Notification(Fact):
    """Somebody was told of an incident. `reference`: the record number of what was sent."""

    incident_id: Id
    whom: Literal["provider", "importer", "distributor", "authority", "data_protection", "persons"]
    notified_at: Utc
    reference: Name | None = None
    told_by: Id


class IncidentNotified(Event):
    type: Literal["valvomo.incident.notified.v1"] = "valvomo.incident.notified.v1"
    data: Notification


class IncidentEnd(Fact):
    incident_id: Id
    closed_at: Utc
    outcome: Name
    closed_by: Id


class IncidentClosed(Event):
    type: Literal["valvomo.incident.closed.v1"] = "valvomo.incident.closed.v1"
    data: IncidentEnd


class RoleChange(Fact):
    """A person was given a role, or lost it. `unit`: the role holds there and below; null: everywhere."""

    person: Pseudonym
    role: Literal["viewer", "finance", "reviewer", "auditor", "admin"]
    unit: Id | None = None
    change: Literal["granted", "revoked"]
    reason: Name
    approver: Id
    changed_at: Utc


class RoleChanged(Event):
    type: Literal["valvomo.role.changed.v1"] = "valvomo.role.changed.v1"
    data: RoleChange
