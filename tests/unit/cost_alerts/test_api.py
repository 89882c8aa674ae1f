"""The page and the JSON of the ledger, over HTTP, on a ledger that was fed through the bus."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from services.shared.access import load_access
from services.shared.bus.memory import MemoryBus
from services.shared.events import event_id
from services.shared.events.outcomes import Finding, FindingOpened
from services.shared.http import make_app
from tests.contract.ledger_world import BASE, World, budget, make_world, reading, unit

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "rect"}


class Page(HTMLParser):
    """What a screen reader gets: text, tables with their headers, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headers_without_scope = 0
        self.tables = self.captions = 0
        self.words: list[str] = []
        self.feed(html)
        assert self.open == [], f"not closed: {self.open}"

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words).replace("\u00a0", " "))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in {"href", "src"} and value]
        self.headers_without_scope += tag == "th" and "scope" not in given
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    def row(self, *words: str) -> bool:
        return " ".join(words) in self.text


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2))
    yield made
    made.close()


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    app = make_app([world.service], CollectorRegistry(), load_access(world.settings), world.bus)
    with TestClient(app, base_url="http://127.0.0.1") as made:
        yield made


def fed(world: World) -> World:
    """Three requests of 3.60 EUR in October: kymp, kymp, nobody; one of a model without a tariff; a finding."""
    world.register(*BASE, budget("kymp-2026", "kymp", "9.00"), unit("katu & tori", "kymp"))
    world.publish(
        reading("a"),
        reading("b", start=datetime(2026, 10, 4, 8, 0, tzinfo=UTC)),
        reading("c", account="unknown"),
        reading("d", sku="claude-new"),
        opened("kymp"),
    )
    world.clock.set(datetime(2026, 10, 11, 9, 0, tzinfo=UTC))
    world.settle()
    return world


def opened(where: str) -> FindingOpened:
    data = Finding.model_validate(
        {
            "finding_id": event_id("finding", where),
            "kind": "overdue_review",
            "output_id": "o-1",
            "use_case": None,
            "system": "claude-api",
            "unit": where,
            "policy": "p",
            "policy_version": 1,
            "due_at": None,
            "detected_at": datetime(2026, 10, 5, 9, 0, tzinfo=UTC),
        }
    )
    return FindingOpened(
        id=data.finding_id, source="valvomo/audit-log", subject="o-1", time=datetime(2026, 10, 5, tzinfo=UTC), data=data
    )


def get(client: TestClient, path: str = "/?lang=en", **headers: str) -> Page:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def test_units_stand_with_cost_outlook_budget_share_and_findings(world: World, client: TestClient) -> None:
    fed(world)
    page = get(client)
    # 7.20 in ten days: 22.32 in 31; used 7.20 of 9.00
    assert page.row("KYMP €7.20 €22 €9 80% · passed 80% 1"), page.text
    assert page.row("CITY €7.20 €22 No budget – 1")  # with the units below it
    assert page.row("SOTE €0.00 €0 No budget – 0")
    assert page.row("KATU & TORI €0.00 €0 No budget – 0")
    assert page.row("Total €10.80 €33 1")


def test_what_is_missing_is_shown_plainly(world: World, client: TestClient) -> None:
    fed(world)
    page = get(client)
    assert page.row("Unallocated €3.60 Cost that no rule gives to a unit.")
    assert page.row("Unpriced 1 readings Use that has no price yet. It is missing from every sum.")
    assert page.row("Claude claude-new 1")
    assert page.row("KYMP Review overdue 1 5 Oct 2026 12:00")


def test_alerts_stand_with_what_became_of_their_messages(world: World, client: TestClient) -> None:
    fed(world)
    page = get(client)
    assert page.row("KYMP kymp-2026 80% €7.20 11 Oct 2026 12:00 2 waiting")
    assert page.row("KYMP kymp-2026 50% €7.20 11 Oct 2026 12:00 A higher threshold spoke")


def test_a_page_for_everybody(world: World, client: TestClient) -> None:
    fed(world)
    page = get(client)
    assert page.tables == page.captions == 5
    assert page.headers_without_scope == 0
    assert len(page.ids) == len(set(page.ids))
    assert {link.lstrip("#") for link in page.links if link.startswith("#")} <= set(page.ids)
    assert [link for link in page.links if "//" in link and not link.startswith("data:")] == []
    others = {f"/{one}?lang=en" for one in ("reviews", "findings", "ai-register", "incidents", "audit", "account")}
    assert others <= set(page.links)  # of other services: their own tests open them
    for link in {one for one in page.links if one.startswith("/")} - {"/metrics", *others}:
        assert client.get(link).status_code == 200, link


def test_names_of_the_register_and_of_vendors_are_text_and_nothing_else(world: World, client: TestClient) -> None:
    hostile = "<script>alert(1)</script>"
    named = unit("evil").model_copy(update={"name": {"en": hostile}})
    world.register(*BASE, named, budget("kymp-2026", "kymp", "9.00"))
    world.publish(reading("a"), reading("d", sku=f"'\"{hostile}"))
    world.settle()
    answer = client.get("/?lang=en")
    assert "<script" not in answer.text
    assert hostile in Page(answer.text).text
    assert f"'\"{hostile}" in Page(answer.text).text


@pytest.mark.parametrize(
    ("path", "header", "expected"),
    [
        ("/", "sv-FI", ("sv", "Kostnader för och tillsyn över AI")),
        ("/", "de", ("fi", "Tekoälyn kustannukset ja valvonta")),
        ("/?lang=en", "sv", ("en", "AI cost and oversight")),
    ],
)
def test_people_are_spoken_to_in_their_language(
    world: World, client: TestClient, path: str, header: str, expected: tuple[str, str]
) -> None:
    language, heading = expected
    fed(world)
    answer = client.get(path, headers={"accept-language": header})
    assert answer.headers["content-language"] == language
    assert f'<html lang="{language}">' in answer.text
    assert heading in Page(answer.text).text


def test_an_empty_ledger_says_what_to_do_and_shows_no_noughts_as_facts(client: TestClient) -> None:
    page = get(client)
    assert "valvomo register publish" in page.text
    assert page.row("There are no open findings.")
    assert page.row("No budget threshold has been passed.")
    assert page.row("No completed day yet")  # 1 October


def test_another_month_stands_as_it_was(world: World, client: TestClient) -> None:
    fed(world)
    world.clock.set(datetime(2026, 11, 3, 9, 0, tzinfo=UTC))
    past = get(client, "/?lang=en&month=2026-10")
    assert past.row("KYMP €7.20 – €9 80%")
    assert past.row("The month is over")
    present = get(client, "/?lang=en")
    assert present.row("KYMP €0.00 €0 €9")


def test_a_unit_that_moved_counts_for_each_parent_on_its_days(world: World, client: TestClient) -> None:
    moved = date(2026, 10, 4)
    world.register(
        *BASE[:1],
        unit("kymp", valid_to=moved, parent="city"),
        *BASE[2:],
        unit("kymp", "sote", valid_from=moved),
    )
    world.publish(reading("a"), reading("b", start=datetime(2026, 10, 4, 8, 0, tzinfo=UTC)))
    world.clock.set(datetime(2026, 10, 11, 9, 0, tzinfo=UTC))
    world.settle()
    page = get(client)
    assert page.row("SOTE €3.60")
    assert page.row("KYMP €7.20")
    assert page.row("CITY €7.20")


@pytest.mark.parametrize("path", ["/?month=2026-13", "/?lang=de", "/api/v1/costs?by=person", "/api/v1/costs?month=x"])
def test_parameters_that_cannot_be_are_refused(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("found")


def test_costs_are_the_same_document_as_the_report(world: World, client: TestClient) -> None:
    fed(world)
    answer = client.get("/api/v1/costs", params={"month": "2026-10"}).json()
    assert answer == world.report()
    assert {row["unit"]: row["eur"] for row in answer["rows"]} == {"kymp": "7.2", "unallocated": "3.6"}
    by = client.get("/api/v1/costs", params={"month": "2026-10", "by": "vendor"}).json()
    assert [(row["vendor"], row["eur"], row["unpriced"]) for row in by["rows"]] == [("anthropic", "10.8", 1)]


def test_a_narrowed_budget_says_on_the_page_what_it_is_for(world: World, client: TestClient) -> None:
    fed(world)
    world.register(budget("kymp-claude", "kymp", "8.00", system="claude-api"))
    world.settle()
    assert get(client).row("KYMP €7.20 €22 €9 €8 claude-api 80% · passed 80% 90% · passed 80% 1")


def test_budgets_for_programs(world: World, client: TestClient) -> None:
    fed(world)
    assert client.get("/api/v1/budgets").json() == {
        "budgets": [
            {
                "id": "kymp-2026",
                "unit": "kymp",
                "system": None,
                "vendor": None,
                "project": None,
                "programme": None,
                "period": 2026,
                "as_of": "2026-10-11",
                "condition": "passed",
                "epoch": 0,
                "amount_eur": "9",
                "first_amount_eur": "9.00",
                "decision": None,
                "amendments": [],
                "carried_over_eur": "0",
                "planned_to_date_eur": "7.002739726",
                "used_eur": "7.2",
                "used_ratio": "0.8000",
                "committed_eur": None,
                "forecast_eur": None,
                "thresholds": ["0.5", "0.8", "1.0"],
                "forecast_thresholds": [],
                "recipients": ["finance-kymp"],
            }
        ]
    }
    assert client.get("/api/v1/budgets", params={"year": 2027}).json() == {"budgets": []}


def test_alerts_for_programs(world: World, client: TestClient) -> None:
    fed(world)
    alerts = client.get("/api/v1/alerts").json()["alerts"]
    assert [(one["threshold"], one["spoken"], one["messages"]) for one in alerts if one["spoken"]] == [
        ("0.8", True, {"sent": 0, "waiting": 2, "given_up": 0})
    ]
    assert [one["threshold"] for one in alerts] == ["0.8", "0.5"], "of one moment the highest first"
    assert alerts[0]["decided_at"] == "2026-10-11T09:00:00Z"
