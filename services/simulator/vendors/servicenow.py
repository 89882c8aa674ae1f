"""A ServiceNow instance: its token service and the Table API on the tables that tell about Now Assist.

Like the real one it passes over what it does not know in a query or a list of fields, without a word.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from urllib.parse import parse_qsl

from services.simulator.assists import PENDING_FOR, Assist, AssistUse
from services.simulator.city import City
from services.simulator.exchange import Ask, RefusedError, Reply, as_json

CLIENT_ID = "simulated-collector"
CLIENT_SECRET = "simulated-secret"  # noqa: S105  # opens nothing but this simulation
TOKEN = "simulated-instance-token"  # noqa: S105
TABLES = "/api/now/table/"
USUAL_LIMIT = 10_000
KNOWN_SINCE = datetime(2000, 1, 1, tzinfo=UTC)

Row = Mapping[str, str]

_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    ">=": lambda found, asked: found >= asked,
    "<=": lambda found, asked: found <= asked,
    ">": lambda found, asked: found > asked,
    "<": lambda found, asked: found < asked,
    "=": lambda found, asked: found == asked,
}


class ServiceNow:
    """Answers for one instance."""

    def __init__(self, city: City, use: AssistUse, today: date) -> None:
        self._city = city
        self._use = use
        self._today = today
        self._tables: Mapping[str, Callable[[datetime, datetime, datetime], Iterable[Row]]] = {
            "sys_gen_ai_usage_log": self._usage_rows,
            "sys_generative_ai_log": self._log_rows,
            "sys_user": self._user_rows,
        }

    def __call__(self, ask: Ask) -> Reply | None:
        if ask.path == "/oauth_token.do" and ask.method == "POST":
            return _token(ask)
        if not ask.path.startswith(TABLES):
            return None
        if ask.headers.get("authorization") != f"Bearer {TOKEN}":
            raise _refused(401, "User Not Authenticated", "Required to provide Auth information")
        if (rows := self._tables.get(ask.path.removeprefix(TABLES))) is None:
            raise _refused(400, "Invalid table", "the table is not part of this simulation")
        return self._answer(ask, rows)

    def _answer(self, ask: Ask, table: Callable[[datetime, datetime, datetime], Iterable[Row]]) -> Reply:
        clauses = [clause for clause in ask.first("sysparm_query").split("^") if clause]
        rows = _ordered(_filtered(table(*_created(clauses, ask.now)), clauses), clauses)
        offset, limit = int(ask.first("sysparm_offset", "0")), int(ask.first("sysparm_limit", str(USUAL_LIMIT)))
        fields = [field for field in ask.first("sysparm_fields").split(",") if field]
        page = [_fields(row, fields) for row in rows[offset : offset + limit]]
        return as_json({"result": page}, headers={"x-total-count": str(len(rows))})

    def _usage_rows(self, start: datetime, end: datetime, now: datetime) -> Iterator[Row]:
        for one in self._use.between(start, end):
            pending = now < one.created_at + PENDING_FOR
            yield {
                "sys_id": one.sys_id,
                "assists": str(one.skill.assists),
                "trial_assists": "0",
                "status": "pending" if pending else "completed",
                "execution_type": one.execution_type,
                "strategy": "fixed",
                "feature": _id_of(f"feature {one.skill.sku}"),
                "skill_config_id": _id_of(f"skill {one.skill.sku}"),
                "user": one.user,
                "plugin_name": one.skill.sku,
                "document_table": "incident",
                "document": _id_of(f"document {one.sys_id}"),
                "sys_created_on": _text(one.created_at),
            }

    def _log_rows(self, start: datetime, end: datetime, now: datetime) -> Iterator[Row]:
        for one in self._use.between(start, end):
            if one.log_id:
                yield {
                    "sys_id": one.log_id,
                    "gen_ai_usage_log": one.sys_id,
                    "status": "Success",
                    "sys_created_on": _text(one.created_at),
                    **_verdict(one, now),
                }

    def _user_rows(self, _start: datetime, _end: datetime, _now: datetime) -> Iterator[Row]:
        units = {one.person: one.unit for one in self._city.placements if one.holds_on(self._today)}
        created = _text(KNOWN_SINCE)
        for person, sys_id in self._city.other_ids.items():
            yield {
                "sys_id": sys_id,
                "user_name": person,
                "department": units.get(person, ""),
                "sys_created_on": created,
            }
        technical = self._city.vendors.servicenow.technical_user
        yield {
            "sys_id": technical.sys_id,
            "user_name": technical.user_name,
            "department": "",
            "sys_created_on": created,
        }


def _verdict(one: Assist, now: datetime) -> Row:
    """What somebody thought of a text; nothing until they have said so."""
    if one.feedback_at is None or one.feedback_at > now:
        return {"feedback": "", "feedback_timestamp": "", "additional_data": ""}
    when = _text(one.feedback_at) if one.feedback or one.additional_data else ""
    return {"feedback": one.feedback, "feedback_timestamp": when, "additional_data": one.additional_data}


def _created(clauses: Sequence[str], now: datetime) -> tuple[datetime, datetime, datetime]:
    """The time that a query asks for, as far as it says so; nothing of it lies in the future."""
    starts = [_moment(clause[16:]) for clause in clauses if clause.startswith("sys_created_on>=")]
    ends = [_moment(clause[15:]) for clause in clauses if clause.startswith("sys_created_on<") and clause[15] != "="]
    return max(starts, default=KNOWN_SINCE), min([*ends, now]), now


def _filtered(rows: Iterable[Row], clauses: Sequence[str]) -> Iterator[Row]:
    tests = [test for clause in clauses if (test := _comparison(clause)) is not None]
    for row in rows:
        if all(field not in row or holds(row[field], asked) for field, holds, asked in tests):
            yield row


def _comparison(clause: str) -> tuple[str, Callable[[str, str], bool], str] | None:
    for sign, holds in _COMPARISONS.items():
        field, found, asked = clause.partition(sign)
        if found:
            return field, holds, asked
    return None


def _ordered(rows: Iterable[Row], clauses: Sequence[str]) -> Sequence[Row]:
    fields = [clause.removeprefix("ORDERBY") for clause in clauses if clause.startswith("ORDERBY")]
    return sorted(rows, key=lambda row: [row.get(field, "") for field in fields])


def _fields(row: Row, fields: Sequence[str]) -> Row:
    return {field: row[field] for field in fields if field in row} if fields else row


def _token(ask: Ask) -> Reply:
    form = dict(parse_qsl(ask.body.decode()))
    if form != {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}:
        raise RefusedError(401, {"error": "access_denied", "error_description": "access_denied"})
    return as_json({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 1799, "scope": "useraccount"})


def _id_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:32]


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _refused(status: int, message: str, detail: str) -> RefusedError:
    return RefusedError(status, {"error": {"message": message, "detail": detail}, "status": "failure"})
