"""Microsoft 365 Copilot: seats bought, seats held, last use, once a day through Microsoft Graph.

Sources, read 2026-11-21: learn.microsoft.com/graph `subscribedSkus`, `users` (licences) and
`getMicrosoft365CopilotUsageUserDetail`. The seat is what is paid; prompts change no bill, so they make no reading.

Graph knows only the present: a day without a snapshot stays a gap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.shared.errors import SourceChangedError
from services.shared.events.envelope import Utc
from services.shared.events.usage import SeatCount, SeatHolding
from services.shared.periods import Period
from services.usage_collector.source import (
    Cursor,
    Fetch,
    Identity,
    Page,
    VendorAnswer,
    VendorFact,
    Who,
    midnight,
    pages,
    read_csv,
    read_json,
)

COPILOT_PLANS = frozenset(
    {
        UUID("3f30311c-6b1e-48a4-ab79-725b469da960"),  # Copilot Chat over the tenant's own data
        UUID("a62f8878-de10-42f3-b68f-6149a25ceb97"),  # in Word, Excel, PowerPoint, Outlook
        UUID("b95945de-b3bd-46db-8437-f2beb6ea2347"),  # in Teams
    }
)
"""Service plans that make a SKU a Copilot seat; the SKU itself may be a bundle of another name."""

COPILOT_PLAN_NAMES = frozenset({"M365_COPILOT_APPS", "M365_COPILOT_BUSINESS_CHAT", "M365_COPILOT_TEAMS"})
ACTIVE_WITHIN = timedelta(days=28)
"""The window of the usage report that we ask for."""

REPORT = "/v1.0/copilot/reports/getMicrosoft365CopilotUsageUserDetail(period='D28',version='v2')"
COLUMNS = ("report refresh date", "user principal name", "last activity date")
USER_FIELDS = "id,userPrincipalName,assignedLicenses,licenseAssignmentStates"
DAY = timedelta(days=1)

Count = Annotated[int, Field(ge=0)]
Moment = Annotated[Utc, Field(strict=False)]
Guid = Annotated[UUID, Field(strict=False)]


class ServicePlan(VendorAnswer):
    service_plan_id: Guid = Field(alias="servicePlanId")
    service_plan_name: str = Field(alias="servicePlanName")


class Units(VendorAnswer):
    enabled: Count
    warning: Count  # the term ended, a period of grace runs


class Sku(VendorAnswer):
    sku_id: Guid = Field(alias="skuId")
    sku_part_number: str = Field(alias="skuPartNumber")
    applies_to: str = Field(alias="appliesTo")
    consumed_units: Count = Field(alias="consumedUnits")
    prepaid_units: Units = Field(alias="prepaidUnits")
    service_plans: tuple[ServicePlan, ...] = Field(alias="servicePlans", strict=False)

    @property
    def is_copilot_seat(self) -> bool:
        plans = {plan.service_plan_id for plan in self.service_plans}
        names = {plan.service_plan_name for plan in self.service_plans}
        return self.applies_to == "User" and bool(plans & COPILOT_PLANS or names & COPILOT_PLAN_NAMES)


class Licence(VendorAnswer):
    sku_id: Guid = Field(alias="skuId")


class LicenceState(VendorAnswer):
    sku_id: Guid = Field(alias="skuId")
    state: str  # Active, ActiveWithError, Disabled, Error
    last_updated: Moment | None = Field(default=None, alias="lastUpdatedDateTime")


class User(VendorAnswer):
    id: str
    user_principal_name: str = Field(alias="userPrincipalName")
    assigned_licences: tuple[Licence, ...] = Field(alias="assignedLicenses", strict=False)
    licence_states: tuple[LicenceState, ...] = Field(alias="licenseAssignmentStates", strict=False)

    @property
    def identity(self) -> Identity:
        """The principal name first: the register knows people by it. It may change, the id does not."""
        return (self.user_principal_name, self.id)

    def holds(self, sku: Sku) -> bool:
        return any(licence.sku_id == sku.sku_id for licence in self.assigned_licences)

    def assigned_on(self, sku: Sku, today: date) -> date:
        """The day on which the assignment last changed: the earliest of several ways to hold it."""
        ways = [
            state for state in self.licence_states if state.sku_id == sku.sku_id and state.state.startswith("Active")
        ]
        return min((way.last_updated.date() for way in ways if way.last_updated), default=today)


class Skus(VendorAnswer):
    value: tuple[Sku, ...] = Field(strict=False)


class Users(VendorAnswer):
    value: tuple[User, ...] = Field(strict=False)
    next_link: str | None = Field(default=None, alias="@odata.nextLink")


@dataclass(frozen=True, slots=True)
class Activity:
    """The usage report: who was active last on which day (lower-case principal name), how many were lately."""

    last_active_on: Mapping[str, date]
    active: int


class MicrosoftCopilotSource:
    """One snapshot of seats per UTC day."""

    name = "microsoft_copilot"
    event_source = "microsoft/graph"
    system = "m365-copilot"

    def __init__(self, who: Who) -> None:
        self._who = who

    def poll(self, fetch: Fetch, cursor: Cursor, until: datetime) -> Page:
        today = until.date()
        if cursor.get("day") == today.isoformat():
            return Page((), cursor)
        skus = [
            sku
            for sku in Skus.model_validate(read_json(fetch.get("/v1.0/subscribedSkus"), self.name)).value
            if sku.is_copilot_seat
        ]
        if not skus:
            raise SourceChangedError(
                f"{self.name}: found no SKU with a Copilot plan among the subscriptions; expected at least one"
            )
        activity = activity_of(read_csv(fetch.get(REPORT), self.name, COLUMNS))
        holders = {sku: list(_holders(fetch, sku)) for sku in skus}
        who = self._who({user.identity for users in holders.values() for user in users})
        facts: list[VendorFact] = [self._count(sku, today, activity, alone=len(skus) == 1) for sku in skus]
        facts += [self._holding(sku, user, who, today, activity) for sku, users in holders.items() for user in users]
        window = Period(midnight(today), midnight(today + DAY))
        return Page(facts, {"day": today.isoformat()}, window=window, snapshot=True)

    def rewind(self, cursor: Cursor, since: datetime) -> Cursor:  # noqa: ARG002  # there is no past to read
        return {}

    def _count(self, sku: Sku, today: date, activity: Activity, *, alone: bool) -> SeatCount:
        units = sku.prepaid_units
        return SeatCount(
            system=self.system,
            sku=sku.sku_part_number,
            observed_on=today,
            purchased=units.enabled + units.warning,
            assigned=sku.consumed_units,
            active=activity.active if alone else None,  # the report does not say by which SKU
        )

    def _holding(
        self, sku: Sku, user: User, who: Mapping[Identity, str], today: date, activity: Activity
    ) -> SeatHolding:
        return SeatHolding(
            system=self.system,
            sku=sku.sku_part_number,
            person=who[user.identity],
            assigned_on=user.assigned_on(sku, today),
            last_active_on=activity.last_active_on.get(user.user_principal_name.lower()),
        )


def _holders(fetch: Fetch, sku: Sku) -> Iterator[User]:
    """Who holds a seat of `sku`; checked again here, since an unknown filter may be passed over in silence."""
    question = [
        ("$select", USER_FIELDS),
        ("$filter", f"assignedLicenses/any(x:x/skuId eq {sku.sku_id})"),
        ("$top", "500"),
        ("$count", "true"),
    ]

    def read(link: str | None) -> tuple[Users, str | None]:
        answer = fetch.get(link) if link else fetch.get("/v1.0/users", question, {"ConsistencyLevel": "eventual"})
        users = Users.model_validate(read_json(answer, MicrosoftCopilotSource.name))
        return users, users.next_link

    for page in pages(read, MicrosoftCopilotSource.name):
        yield from (user for user in page.value if user.holds(sku))


def activity_of(rows: Sequence[Mapping[str, str]]) -> Activity:
    """What the usage report tells. Concealed names (a tenant's switch) leave only the number of active ones.

    Raises:
        SourceChangedError: a cell that should hold a date holds something else.
    """
    dated = [
        (row["user principal name"].lower(), _date(row["report refresh date"]), _date(row["last activity date"]))
        for row in rows
    ]
    lately = sum(1 for _, refreshed, last in dated if refreshed and last and last > refreshed - ACTIVE_WITHIN)
    return Activity({name: last for name, _, last in dated if last}, lately)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise SourceChangedError("microsoft_copilot: a date of the usage report is not written YYYY-MM-DD") from None
