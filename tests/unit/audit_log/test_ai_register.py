"""The AI register's pages, and the public one: what each shows, and what nobody may read from it."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from fastapi.testclient import TestClient

from services.audit_log.adapters.indexing import index_some
from services.audit_log.domain.ai_register.public import public_schema
from services.shared.access import Access, Token, new_token
from services.shared.http import make_app
from services.shared.settings import Settings
from services.shared.web.words import LANGUAGES
from tests.contract.log_contract import Program
from tests.unit.audit_log.register_city import BENEFITS, CITY, TAGS, costed, outputs, published, use

SCHEMA = Path(__file__).parents[3] / "docs" / "schemas" / "public" / "ai-register.schema.json"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A log with a city's register, changed twice; none of the tests adds to it but by looking."""
    folder = tmp_path_factory.mktemp("log") / "var"
    made = Program(Settings(data_dir=folder, public_register=True, public_contact="kirjaamo@city.example"))
    made.publish(*published(1, CITY))
    made.settle()
    made.publish(
        *outputs("benefits", 40, 39), *outputs("benefits", 5, 5, days_ago=50), *outputs("chat", 3, 2),
        costed("benefits", "under_1000"), costed("benefits", "under_50000"),
    )  # fmt: skip
    made.settle()
    changed = BENEFITS.model_copy(update={"owner": "another role", "authority": "Traficom"})
    made.publish(*published(2, [changed, use("old", "kymp", "minimal", valid_to=date(2026, 2, 1))]))
    made.settle()
    made.publish(*published(3, [], gone=[use("drafts", "kymp", "minimal")]))
    made.settle()
    while index_some(made.service.store):
        pass
    yield made
    made.close()


@pytest.fixture
def client(program: Program) -> TestClient:
    return TestClient(make_app([program.service], program.registry, Access(None, program.clock)), "http://localhost")


class Outline(HTMLParser):
    """Of a page: its text, links, how many headings and scripts, and what it would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self._hidden = "", False
        self.links, self.tags, self.fetched, self.ids = (list[str]() for _ in range(4))
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self._hidden = tag in {"style", "script"}
        self.links += [given["href"] or ""] if tag == "a" else []
        self.ids += [given["id"] or ""] if "id" in given else []
        if tag in {"script", "img", "iframe", "link", "object"}:
            self.fetched.append(given.get("src") or given.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else f"{data} "


def rows(client: TestClient, **asked: str) -> dict[str, Any]:
    found = client.get("/api/v1/ai-register", params=asked)
    assert found.status_code == 200
    return {one["use_case"]["id"]: one for unit in found.json()["units"] for one in unit["use_cases"]}


def test_what_the_law_watches_stands_first_in_each_unit(client: TestClient) -> None:
    units = client.get("/api/v1/ai-register").json()["units"]
    order = {one["unit"]: [found["use_case"]["id"] for found in one["use_cases"]] for one in units}
    assert order == {"kymp": ["scoring", "benefits"], "library": ["chat", "trial"]}


def test_a_use_is_shown_with_all_that_is_known_of_it(client: TestClient) -> None:
    found = rows(client)["benefits"]
    assert found["missing"] == [{"record": "fria", "due": "2027-12-02", "state": "due"}]
    assert (found["outputs"]["last_30_days"], found["outputs"]["last_90_days"]) == (40, 45)
    assert (found["outputs"]["review_due"], found["outputs"]["reviewed"]) == (45, 44)
    assert found["findings_open"] == {"overdue_review": 1}
    assert found["cost_band"] == "under_50000"
    assert found["benefit"] == {"results": {"2026-09": "120", "2026-10": "150"}, "done": "0.5000"}


def test_a_share_of_few_is_not_told(client: TestClient) -> None:
    found = rows(client)["chat"]
    assert found["outputs"]["last_90_days"] == 3
    assert (found["outputs"]["review_due"], found["outputs"]["reviewed"]) == (None, None)
    assert found["suspended"] is True


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"unit": "library"}, {"chat", "trial"}),
        ({"unit": "kymp"}, {"scoring", "benefits", "chat", "trial"}),
        ({"risk_class": "prohibited"}, {"scoring"}),
        ({"unit": "library", "risk_class": "prohibited"}, set()),
        ({"unit": "nowhere"}, set()),
        ({"unit": "", "risk_class": ""}, {"scoring", "benefits", "chat", "trial"}),
    ],
)
def test_the_register_is_narrowed_to_a_unit_with_those_below_and_to_a_class(
    client: TestClient, asked: dict[str, str], expected: set[str]
) -> None:
    assert set(rows(client, **asked)) == expected
    page = Outline(client.get("/ai-register", params=asked).text)
    assert {link.split("id=")[1].split("&")[0] for link in page.links if "/use-case?" in link} == expected


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/ai-register?", "/ai-register/use-case?id=benefits&", "/public/ai-register?"])
def test_the_pages_in_every_language(client: TestClient, path: str, language: str) -> None:
    answer = client.get(f"{path}lang={language}")
    page = Outline(answer.text)
    assert (answer.status_code, answer.headers["content-language"]) == (200, language)
    assert f"benefits {language}" in page.text
    assert (page.tags.count("h1"), page.tags.count("script")) == (1, 0)
    assert page.tags.count("table") == page.tags.count("caption")
    assert len(page.ids) == len(set(page.ids))
    assert [link for link in page.fetched if not link.startswith("data:")] == []
    assert TAGS not in answer.text


def test_a_use_tells_its_versions_with_their_entries_newest_first(client: TestClient) -> None:
    page = Outline(client.get("/ai-register/use-case?id=benefits&lang=en").text)
    entries = [int(link.split("/")[3].split("?")[0]) for link in page.links if link.startswith("/audit/entries/")]
    assert len(entries) == 2
    assert entries == sorted(entries, reverse=True)
    told = [client.get(f"/api/v1/log/entries/{index}").json()["event"]["data"]["fact"]["owner"] for index in entries]
    assert told == ["another role", "head of unit"]
    assert "authority , owner" in " ".join(page.text.split())


@pytest.mark.parametrize(
    ("name", "said"),
    [("old", "This use case does not hold today"), ("trial", "environment test")],
)
def test_a_use_that_is_not_like_the_others_is_told_as_such(client: TestClient, name: str, said: str) -> None:
    assert said in Outline(client.get(f"/ai-register/use-case?id={name}&lang=en").text).text


def test_a_use_that_is_gone_from_the_register_is_not_found(client: TestClient) -> None:
    assert client.get("/ai-register/use-case?id=drafts").status_code == 404
    assert client.get("/ai-register/use-case?id=%00").status_code == 422


def public(client: TestClient) -> dict[str, Any]:
    answer = client.get("/public/ai-register.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json()
    return found


def test_the_public_register_is_valid_by_the_schema_in_the_docs(client: TestClient) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert schema == public_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    document = public(client)
    assert list(validator.iter_errors(document)) == []
    document["use_cases"][0]["reviewer"] = "p-reviewer"
    assert [error.validator for error in validator.iter_errors(document)] == ["additionalProperties"]


def test_every_member_of_the_schema_is_described() -> None:
    parts = [public_schema(), *public_schema()["$defs"].values()]
    assert all(one.get("description") for part in parts for one in part["properties"].values())
    assert all(part["additionalProperties"] is False for part in parts)


def test_the_public_register_shows_what_is_public_and_in_production(client: TestClient) -> None:
    document = public(client)
    assert [one["id"] for one in document["use_cases"]] == ["benefits", "chat"]
    assert (document["publisher"]["en"], document["contact"]) == ("City", "kirjaamo@city.example")
    assert document["use_cases"][0]["unit"]["above"] == [{"fi": "city suomeksi", "sv": "city på svenska", "en": "City"}]


def test_the_public_register_tells_live_use_share_and_cost_band(client: TestClient) -> None:
    benefits = public(client)["use_cases"][0]
    assert benefits["live_use"]["outputs_last_90_days"] == {"number": 40, "told": "at_least"}
    assert benefits["live_use"]["last_used_month"] == "2026-11"
    assert (benefits["oversight"]["reviews_due"]["number"], benefits["oversight"]["share_reviewed"]) == (40, "0.97")
    assert benefits["cost"]["band"] == "under_50000"
    assert (benefits["benefit"]["latest_month"], benefits["benefit"]["latest_result"]) == ("2026-10", "150")
    assert benefits["records"]["data_protection_assessment"] == "KYMP 7/2026"
    assert "kirjaamo@city.example" in benefits["asking"]["fi"]


def test_the_public_register_tells_no_small_number_no_finding_and_no_person(client: TestClient) -> None:
    document = public(client)
    chat = document["use_cases"][1]
    hidden = {"number": None, "told": "under_20"}
    assert (chat["live_use"]["outputs_last_30_days"], chat["oversight"]["reviews_due"]) == (hidden, hidden)
    assert chat["oversight"]["share_reviewed"] is None
    assert chat["live_use"]["suspended"] is True
    pages = [client.get(f"/public/ai-register?lang={language}").text for language in LANGUAGES]
    secret = ("p-somebody", "p-reviewer", "p-requester", "overdue_review", "scoring")
    for text in [json.dumps(document), *pages]:
        assert [word for word in secret if word in text] == []


def test_oversight_is_told_in_words_from_the_policy(client: TestClient) -> None:
    benefits, chat = public(client)["use_cases"]
    assert benefits["oversight"]["explained"]["en"].startswith("A person reviews the output before it is used.")
    assert "5.0% are drawn by lot" in chat["oversight"]["explained"]["en"].replace("\u00a0", "")


def test_what_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    for path in ("/public/ai-register.json", "/public/ai-register?lang=sv"):
        first = client.get(path)
        assert first.headers["cache-control"] == "public, max-age=60"
        again = client.get(path, headers={"if-none-match": f'"other", {first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    pages = {client.get(f"/public/ai-register?lang={language}").headers["etag"] for language in LANGUAGES}
    assert len(pages) == len(LANGUAGES)


def test_the_pages_of_the_public_register_lead_to_each_other_only(client: TestClient) -> None:
    page = Outline(client.get("/public/ai-register").text)
    assert all(link.startswith(("#", "/public/ai-register")) for link in page.links)
    inner = {link[1:] for link in page.links if link.startswith("#")}
    assert inner <= set(page.ids)


def test_anybody_reads_the_public_register_and_nobody_the_other_without_a_token(program: Program) -> None:
    token, entry = new_token("reader", roles=("viewer",))
    tokens = [Token.model_validate(one) for one in yaml.safe_load(entry)]
    guarded = TestClient(
        make_app([program.service], program.registry, Access(tokens, program.clock)), "http://localhost"
    )
    assert guarded.get("/public/ai-register.json").status_code == 200
    assert guarded.get("/public/ai-register").status_code == 200
    for path in ("/ai-register", "/ai-register/use-case?id=benefits", "/api/v1/ai-register"):
        assert guarded.get(path).status_code == 401
        assert guarded.get(path, headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_without_the_setting_there_is_no_public_register(tmp_path: Path) -> None:
    made = Program(Settings(data_dir=tmp_path / "var"))
    try:
        closed = TestClient(make_app([made.service], made.registry, Access(None, made.clock)), "http://localhost")
        assert closed.get("/public/ai-register.json").status_code == 404
        assert closed.get("/public/ai-register").status_code == 404
        assert "/public/" not in closed.get("/ai-register").text
    finally:
        made.close()


def test_a_view_is_shown_for_some_minutes_and_made_anew_after_an_answer(tmp_path: Path) -> None:
    made = Program(Settings(data_dir=tmp_path / "var"))
    try:
        client = TestClient(make_app([made.service], made.registry, Access(None, made.clock)), "http://localhost")
        assert rows(client) == {}
        made.publish(*published(1, CITY))
        made.settle()
        assert rows(client) == {}, "it is still fresh"
        made.clock.advance(timedelta(minutes=2))
        assert rows(client) == {}, "shown once more"
        assert len(rows(client)) == 5, "made anew after that answer"
        made.publish(*published(2, [], gone=[CITY[5]]))
        made.settle()
        made.clock.advance(timedelta(minutes=6))
        assert len(rows(client)) == 4, "too old to be shown"
    finally:
        made.close()
