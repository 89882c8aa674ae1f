"""`valvomo doctor`: what is configured, reachable, stale or missing, in sentences that say what to do.

It looks at the settings of this shell and at what the running program tells of itself over HTTP. Databases it opens
for one thing only: whether accounts and audit log tell the same of roles.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import httpx
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from services.cost_alerts.delivery.recipients import load_recipients
from services.embedded import OWN_PORTS
from services.role_check import is_kept_here, role_differences
from services.shared import metrics
from services.shared.access import load_access
from services.shared.errors import PlatformError
from services.shared.logs import configure_logs
from services.shared.metrics import Metric
from services.shared.settings import Settings, load_settings

app = typer.Typer()

State = Literal["fine", "note", "person"]
"""`note`: worth knowing. `person`: somebody must do something."""

PATIENCE_SECONDS = 10.0
_HOUR, _DAY = 3600.0, 86_400.0
_MANY = 5_000
_MARKS = {"fine": "[green]fine[/]", "note": "[yellow]note[/]", "person": "[red]needs a person[/]"}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at. `sentence`: what was found, and what to do where something is wrong."""

    state: State
    about: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A value that the program told, with what it is of: the values of its labels."""

    of: str
    value: float


@dataclass(frozen=True, slots=True)
class Check:
    """Values of a metric that nobody should leave as they are. `is_wrong` gets the value and the present time."""

    metric: Metric
    is_wrong: Callable[[float, float], bool]
    says: Callable[[str, float, float], str]
    state: State = "person"


CHECKS: Sequence[Check] = (
    Check(
        metrics.CONSUMER_STOPPED, lambda value, _: value > 0,
        lambda of, _value, _now: f"consumer {of} has stopped; read its last log line, mend what it names, start again",
    ),
    Check(
        metrics.DEAD_LETTERS, lambda value, _: value > 0,
        lambda of, value, _now: f"{of} set {value:.0f} records aside since its start; see valvomo dead-letters list",
    ),
    Check(
        metrics.OUTBOX_GIVEN_UP, lambda value, _: value > 0,
        lambda of, value, _now: f"{value:.0f} messages were given up ({of}); see valvomo alerts failed",
    ),
    Check(
        metrics.SOURCE_LAST_SUCCESS, lambda value, now: now - value > _HOUR,
        lambda of, value, now: f"{of} was last read {_age(now - value)} ago; see its errors in the log, and its key",
    ),
    Check(
        metrics.COLLECTION_GAP, lambda value, _: value > 0,
        lambda of, value, _now: f"{of} told nothing about {value:.0f} days; try valvomo collect {of} --since DAY",
    ),
    Check(
        metrics.SOURCE_DATA_AGE, lambda value, _: value > 4 * _DAY,
        lambda of, value, _now: f"the newest complete period of {of} is {_age(value)} old; ask its vendor",
    ),
    Check(
        metrics.UNPRICED_READINGS, lambda value, _: value > 0,
        lambda of, value, _now: f"{value:.0f} readings of {of} have no price; publish the tariffs that page / names",
    ),
    Check(
        metrics.FX_AGE, lambda value, _: value > 12 * _DAY,
        lambda of, value, _now: f"the newest rate of {of} is {_age(value)} old; write newer ones into fx.yaml",
    ),
    Check(
        metrics.ALERTS_UNACKNOWLEDGED, lambda value, _: value > 0,
        lambda _of, value, _now: f"{value:.0f} open alerts are not acknowledged; see valvomo alerts list",
        "note",
    ),
    Check(
        metrics.FINDINGS_OPEN, lambda value, _: value > 0,
        lambda of, value, _now: f"{value:.0f} findings are open ({of})", "note",
    ),
    Check(
        metrics.LOG_REWRITABLE, lambda value, _: value > 0,
        lambda _of, _value, _now: "the program's role owns the log's tables and could rewrite them; see docs/roles.md",
    ),
    Check(
        metrics.LOG_ANCHOR_PROBLEM, lambda value, _: value > 1,
        lambda of, _value, _now: f"the anchor {of} refuses the log: it knows another one, or does not know its key; "
        "see valvomo audit anchors",
    ),
    Check(
        metrics.LOG_ANCHOR_TIME, lambda value, now: now - value > 26 * _HOUR,
        lambda of, value, now: f"the anchor {of} got its newest checkpoint {_ago(value, now)}; valvomo audit anchors",
    ),
    Check(
        metrics.CONSUMER_LAG, lambda value, _: value > _MANY,
        lambda of, value, _now: f"{of} is {value:.0f} records behind; it is catching up, or too slow", "note",
    ),
)  # fmt: skip
"""In the order of telling."""


@app.command()
def doctor(
    url: Annotated[
        str | None, typer.Option(help="address of the running program; default: as the settings say")
    ] = None,
    token: Annotated[str | None, typer.Option(envvar="VALVOMO_TOKEN", help="bearer token, where one is needed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Look at settings and at the running program: what is stale, missing or stopped, and what to do about it.

    Exit codes: 0 nothing needs a person, 1 something does, 2 the settings cannot be used.

    Example: valvomo doctor --json
    """
    settings = load_settings()
    configure_logs(settings.log_format, "error")
    found = [*of_settings(settings), *of_roles(settings), *of_program([url] if url else addresses(settings), token)]
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))  # noqa: T201
    else:
        Console().print(_table(found))
    raise typer.Exit(1 if any(one.state == "person" for one in found) else 0)


def of_settings(settings: Settings) -> Iterator[Diagnosis]:
    """What the settings alone tell: files that cannot be read, and what is left out."""
    yield _usable("tokens file", lambda: load_access(settings), "who may send and read is settled")
    yield _usable("recipients", lambda: load_recipients(settings.recipients_file), "recipients can be read")
    if settings.recipients_file is None:
        yield Diagnosis("note", "recipients", "no VALVOMO_RECIPIENTS_FILE: alerts reach nobody; see docs/alerts.md")
    if settings.smtp_url is None:
        yield Diagnosis("note", "mail", f"no VALVOMO_SMTP_URL: mails are written to {settings.data_dir / 'mail'}")
    if not (settings.anchor_policy or settings.anchor_folder or settings.anchor_mail_to):
        yield Diagnosis(
            "note", "anchors", "no anchor is set: nobody outside could show that the log was rewritten; docs/anchors.md"
        )
    if not settings.sources:
        yield Diagnosis("note", "sources", "no VALVOMO_SOURCES: no vendor is asked; only what is sent comes in")


def of_roles(settings: Settings) -> Iterator[Diagnosis]:
    """Whether every role of an account is told in the log, and the other way round."""
    try:
        if not is_kept_here(settings):
            return
        found = list(role_differences(settings))
    except PlatformError as error:
        yield Diagnosis("note", "roles", f"accounts and log could not be compared: {error}")
        return
    yield from (Diagnosis("person", "roles", sentence) for sentence in found)
    if not found:
        yield Diagnosis("fine", "roles", "accounts and audit log tell the same of roles")


def _usable(about: str, use: Callable[[], object], fine: str) -> Diagnosis:
    try:
        use()
    except PlatformError as error:
        return Diagnosis("person", about, str(error))
    return Diagnosis("fine", about, fine)


def addresses(settings: Settings) -> Sequence[str]:
    """Where the program answers: on its one port, or each service on its own."""
    one = f"http://{settings.host}:{settings.port}"
    apart = settings.bus != "sqlite" and "port" not in settings.model_fields_set
    return [f"http://{settings.host}:{port}" for port in OWN_PORTS.values()] if apart else [one]


def of_program(urls: Iterable[str], token: str | None) -> Iterator[Diagnosis]:
    """What running processes tell of themselves."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    for url in urls:
        with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            try:
                yield from _of_process(client, url)
            except httpx.HTTPError as error:
                sentence = (
                    f"no answer from {url} ({type(error).__name__}); start it with valvomo run, or name another --url"
                )
                yield Diagnosis("person", "program", sentence)


def _of_process(client: httpx.Client, url: str) -> Iterator[Diagnosis]:
    ready = client.get("/readyz").json()
    if ready["status"] == "ready":
        yield Diagnosis("fine", "program", f"{url} is ready")
    else:
        unnamed = "it is not ready, and tells why to holders of a token only; give one with --token"
        yield from (Diagnosis("person", "program", problem) for problem in ready.get("problems") or [unnamed])
    answer = client.get("/metrics")
    if answer.status_code != httpx.codes.OK:
        yield Diagnosis("person", "metrics", f"{url}/metrics answered {answer.status_code}; give a token with --token")
        return
    yield from of_metrics(answer.text, time.time())


def of_metrics(text: str, now: float) -> Iterator[Diagnosis]:
    """What a scrape tells. `text`: Prometheus' format; `now`: seconds since 1970."""
    told = _readings(text)
    for check in CHECKS:
        wrong = [one for one in told.get(check.metric.name, ()) if check.is_wrong(one.value, now)]
        yield from (Diagnosis(check.state, check.metric.name, check.says(one.of, one.value, now)) for one in wrong)
        if not wrong and check.metric.name in told:
            yield Diagnosis("fine", check.metric.name, check.metric.help)


def _readings(text: str) -> Mapping[str, Sequence[Reading]]:
    """Metric → its values."""
    found: dict[str, list[Reading]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(Reading(", ".join(sample.labels.values()), sample.value))
    return found


def _age(seconds: float) -> str:
    return f"{seconds / _DAY:.1f} days" if seconds >= _DAY else f"{seconds / _HOUR:.1f} hours"


def _ago(moment: float, now: float) -> str:
    return f"{_age(now - moment)} ago" if moment else "never"


def _table(found: Sequence[Diagnosis]) -> Table:
    table = Table(title="How Valvomo is", title_justify="left")
    for name in ("state", "about", "what was found"):
        table.add_column(name)
    order: Mapping[str, Any] = {"person": 0, "note": 1, "fine": 2}
    for one in sorted(found, key=lambda one: order[one.state]):
        table.add_row(_MARKS[one.state], one.about, one.sentence)
    return table
