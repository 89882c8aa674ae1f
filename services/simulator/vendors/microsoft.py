"""Microsoft Graph and its token service: licences, who holds them, and the Copilot usage report.

Graph knows only the present. On the two days of an outage (`Stories`) it answers 503.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any
from urllib.parse import parse_qsl, urlencode

from services.shared.periods import timestamp
from services.simulator.city import City, MicrosoftKnows, SoldSku
from services.simulator.exchange import Ask, RefusedError, Reply, as_json, page_of
from services.simulator.seats import ROLLED_OUT, CopilotSeats, Seat
from services.simulator.stories import Stories

CLIENT_ID = "simulated-collector"
CLIENT_SECRET = "simulated-secret"  # noqa: S105  # opens nothing but this simulation
TOKEN = "simulated-graph-token"  # noqa: S105
SCOPE = "https://graph.microsoft.com/.default"
PAGE = 250
OTHER_SKU = "05e9a617-0261-4cee-bb44-138d3ef5d965"
PLANS = {
    "M365_COPILOT_BUSINESS_CHAT": "3f30311c-6b1e-48a4-ab79-725b469da960",
    "M365_COPILOT_APPS": "a62f8878-de10-42f3-b68f-6149a25ceb97",
    "M365_COPILOT_TEAMS": "b95945de-b3bd-46db-8437-f2beb6ea2347",
}
_REPORT = re.compile(
    r"/v1\.0/copilot/reports/getMicrosoft365CopilotUsageUserDetail\(period='D(7|28|90|180)',version='v2'\)"
)
_HOLDERS = re.compile(r"assignedLicenses/any\(x:x/skuId eq ([0-9a-f-]{36})\)")
HEAD = (
    "Report Refresh Date", "User Principal Name", "Display Name", "Last Activity Date", "Report Period",
    "Prompts submitted for all apps", "Active Usage Days for all apps",
)  # fmt: skip


class Microsoft:
    """Answers for one tenant."""

    def __init__(self, city: City, stories: Stories, seats: CopilotSeats) -> None:
        self._knows = city.vendors.microsoft
        self._stories = stories
        self._seats = seats

    def __call__(self, ask: Ask) -> Reply | None:
        if ask.path == f"/{self._knows.tenant_id}/oauth2/v2.0/token" and ask.method == "POST":
            return _token(ask)
        if not ask.path.startswith("/v1.0/"):
            return None
        if self._stories.is_out(ask.now):
            raise _refused(503, "serviceNotAvailable", "The service is temporarily unavailable")
        if ask.headers.get("authorization") != f"Bearer {TOKEN}":
            raise _refused(401, "InvalidAuthenticationToken", "Access token is empty or not valid")
        return self._answer(ask)

    def _answer(self, ask: Ask) -> Reply:
        if ask.path == "/v1.0/subscribedSkus":
            return as_json({"value": [self._sku(sku, ask.now) for sku in self._knows.skus] + [_other_sku(self._knows)]})
        if ask.path == "/v1.0/users":
            return self._users(ask)
        if found := _REPORT.fullmatch(ask.path):
            return self._report(ask.now, found[1])
        raise _refused(404, "ResourceNotFound", "Resource not found")

    def _sku(self, sku: SoldSku, now: datetime) -> Mapping[str, Any]:
        held = len(self._seats.held(now.date(), sku))
        bought = sku.purchased if now.date() >= ROLLED_OUT else 0
        return _sku_document(self._knows.tenant_id, sku.sku_id, sku.sku_part_number, (bought, held), PLANS)

    def _users(self, ask: Ask) -> Reply:
        asked = _HOLDERS.fullmatch(ask.first("$filter"))
        advanced = ask.headers.get("consistencylevel") == "eventual" or ask.first("$skiptoken")
        if asked is None or not advanced or ask.first("$count") != "true":
            raise _refused(
                400, "Request_UnsupportedQuery", "this simulation lists holders of a licence only: $filter, $count"
            )
        seats = [seat for sku in self._knows.skus if sku.sku_id == asked[1] for seat in self._held(ask, sku)]
        size = min(PAGE, int(ask.first("$top", str(PAGE))))
        page, following = page_of(seats, size, ask.first("$skiptoken"), asked[1], _bad_page)
        fields = ask.first("$select").split(",")
        document = {"@odata.count": len(seats), "value": [_selected(self._user(seat), fields) for seat in page]}
        return as_json(document | ({"@odata.nextLink": _next_link(ask, following)} if following else {}))

    def _held(self, ask: Ask, sku: SoldSku) -> Sequence[Seat]:
        return self._seats.held(ask.now.date(), sku)

    def _user(self, seat: Seat) -> Mapping[str, Any]:
        changed = timestamp(datetime.combine(seat.assigned_on, time(9, 30), UTC))
        held = [OTHER_SKU, *(sku.sku_id for sku in self._knows.skus if seat.number in sku.holders.numbers)]
        return {
            "id": f"00000000-0000-4000-8000-{seat.number:012d}",
            "userPrincipalName": seat.person,
            "displayName": f"Person {seat.number:04d}",
            "accountEnabled": True,
            "assignedLicenses": [{"skuId": sku, "disabledPlans": []} for sku in held],
            "licenseAssignmentStates": [
                {"skuId": sku, "disabledPlans": [], "assignedByGroup": None, "state": "Active", "error": "None"}
                | {"lastUpdatedDateTime": changed}
                for sku in held
            ],
        }

    def _report(self, now: datetime, period: str) -> Reply:
        file = io.StringIO()
        table = csv.writer(file, lineterminator="\r\n")
        table.writerow(HEAD)
        refreshed = self._seats.refreshed(now.date())
        for seat in self._seats.held(now.date()):
            active = seat.last_active_on is not None and (refreshed - seat.last_active_on).days < int(period)
            table.writerow(
                [refreshed, seat.person, f"Person {seat.number:04d}", seat.last_active_on or "", period]
                + ([seat.number % 40 + 2, seat.number % 15 + 1] if active else [0, 0])
            )
        return Reply(200, "\ufeff".encode() + file.getvalue().encode(), {"content-type": "application/octet-stream"})


def _token(ask: Ask) -> Reply:
    form = dict(parse_qsl(ask.body.decode()))
    expected = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    if form != expected | {"scope": SCOPE}:
        raise RefusedError(
            401, {"error": "invalid_client", "error_description": "AADSTS7000215: invalid client secret"}
        )
    return as_json({"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN})


def _next_link(ask: Ask, following: str) -> str:
    asked = [pair for pair in ask.query if pair[0] != "$skiptoken"]
    return f"{ask.base}{ask.path}?{urlencode([*asked, ('$skiptoken', following)])}"


def _selected(user: Mapping[str, Any], fields: Sequence[str]) -> Mapping[str, Any]:
    return {name: value for name, value in user.items() if fields == [""] or name in fields}


def _other_sku(knows: MicrosoftKnows) -> Mapping[str, Any]:
    plans = {"EXCHANGE_S_STANDARD": "9aaf7827-d63c-4b61-89c3-182f06f82e5c"}
    return _sku_document(knows.tenant_id, OTHER_SKU, "SPE_E3", (7200, 7033), plans)


def _sku_document(
    tenant: str, sku_id: str, name: str, seats: tuple[int, int], plans: Mapping[str, str]
) -> Mapping[str, Any]:
    bought, held = seats
    return {
        "id": f"{tenant}_{sku_id}",
        "accountId": tenant,
        "skuId": sku_id,
        "skuPartNumber": name,
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": held,
        "prepaidUnits": {"enabled": bought, "suspended": 0, "warning": 0, "lockedOut": 0},
        "servicePlans": [
            {"servicePlanId": plan, "servicePlanName": called, "provisioningStatus": "Success", "appliesTo": "User"}
            for called, plan in plans.items()
        ],
    }


def _bad_page() -> RefusedError:
    return _refused(400, "Directory_ExpiredPageToken", "The specified page token value has expired")


def _refused(status: int, code: str, message: str) -> RefusedError:
    return RefusedError(status, {"error": {"code": code, "message": message}})
