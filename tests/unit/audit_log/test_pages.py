"""The log's pages, and who is told to have looked."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from services.audit_log.adapters.indexing import index_some
from services.audit_log.adapters.reads import NOT_TOLD, QUESTIONS, Reads
from services.audit_log.cli import app
from services.audit_log.web.shown import flat, given_in, question
from services.shared.access import Access, Token, new_token
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError
from services.shared.events import decode
from services.shared.events.log import LogRead
from services.shared.http import make_app
from services.shared.settings import Settings
from services.shared.web.words import LANGUAGES
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import MONDAY, generated, register_events, reviewed, used, window

TAGS = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A signed log of some outputs with their reviews; none of the tests adds to it but by looking."""
    made = Program(Settings(data_dir=tmp_path_factory.mktemp("log") / "var", log_origin="log.example/audit"))
    made.publish(
        *register_events(), generated(), reviewed(), used(), generated("o-2", unit=TAGS), generated("[red]o-3")
    )
    made.publish(window(1), window(2))
    made.settle()
    made.publish(window(1).model_copy(update={"source": "test/usage", "subject": "other"}))
    made.settle()
    while index_some(made.service.store):
        pass
    made.sign()
    yield made
    made.close()


@pytest.fixture
def client(program: Program) -> TestClient:
    return TestClient(make_app([program.service], program.registry, Access(None, program.clock)), "http://localhost")


class Outline(HTMLParser):
    """What of a page a test looks at: its texts, links, tables' heads, and whether a script stands in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.scripts: list[str | None] = []
        self.headings: list[str] = []
        self.unscoped = 0
        self.unlabelled = 0
        self._stack: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [found["href"] or ""] if tag == "a" else []
        self.scripts += [found.get("src")] if tag == "script" else []
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        self.unscoped += tag == "th" and "scope" not in found
        self._stack += [tag] if tag == "label" else []
        self.unlabelled += tag in {"input", "select", "textarea"} and found.get("type") != "hidden" and not self._stack
        assert not [name for name in found if name.startswith("on")], "an inline handler"

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._stack.pop()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/audit", "/audit/entries/6"])
def test_pages_are_whole_in_every_language(client: TestClient, path: str, language: str) -> None:
    answer = client.get(path, params={"lang": language})
    assert (answer.status_code, answer.headers["content-language"]) == (200, language)
    page = Outline(answer.text)
    assert page.headings[0] == "h1"
    assert all(
        int(later[1]) <= int(earlier[1]) + 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False)
    )
    assert (page.unscoped, page.unlabelled) == (0, 0)
    assert page.scripts == (["/audit/verify.js"] if "entries" in path else [])
    assert TAGS not in answer.text


def test_only_the_log_may_run_a_script_and_none_that_stands_in_a_page(client: TestClient) -> None:
    for path in ("/audit", "/audit/entries/6", "/audit/verify.js"):
        assert "script-src 'self'" in client.get(path).headers["content-security-policy"]
    for path in ("/healthz", "/auditor", "/api/v1/log/entries"):
        assert "script-src 'none'" in client.get(path).headers["content-security-policy"]
    answer = client.get("/audit/verify.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "crypto.subtle" in answer.text


def test_the_search_finds_and_links_what_it_finds(client: TestClient) -> None:
    found = Outline(client.get("/audit", params={"output": "o-1", "lang": "en"}).text).links
    entries = [link for link in found if link.startswith("/audit/entries/")]
    assert len(entries) == 4, "the output, its review, and what the log said of them"
    assert entries == sorted(entries, key=lambda link: int(re.findall(r"\d+", link)[0]), reverse=True)
    assert any("person=p-reviewer" in link for link in found)
    assert "No entry fits" in client.get("/audit", params={"unit": "nobody", "lang": "en"}).text


def test_every_link_of_a_page_leads_somewhere(client: TestClient) -> None:
    for path in ("/audit?lang=en&unit=kymp", "/audit/entries/6?lang=en"):
        for link in Outline(client.get(path).text).links:
            if link.startswith(("/audit", "/api", "/log")):
                assert client.get(link).status_code == 200, link


def test_pages_go_on_where_the_last_one_ended(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit_log.api.pages._LINES", 2)
    monkeypatch.setattr("services.audit_log.adapters.search._AT_LEAST", 2)
    link: str | None = "/audit?lang=en&topic=valvomo.governance"
    shown: list[str] = []
    while link:
        page = client.get(link).text
        shown += re.findall(r"/audit/entries/(\d+)\?", page)
        link = next(
            (one for one in Outline(page).links if "before=" in one and "lang=en" in one and "after" in one), None
        )
    whole = client.get("/api/v1/log/entries", params={"topic": "valvomo.governance"}).json()["entries"]
    assert [int(one) for one in shown] == [one["index"] for one in whole][::-1]


@pytest.mark.parametrize(
    "parameters",
    [
        {"since": "yesterday"},
        {"until": "2026-99-99"},
        {"person": "Anna"},
        {"state": "fine"},
        {"unit": "a\x00b"},
        {"id": "x" * 193},
    ],
)
def test_what_cannot_be_understood_is_said(client: TestClient, parameters: dict[str, str]) -> None:
    page = client.get("/audit", params={**parameters, "lang": "en"})
    assert (page.status_code, "was not understood" in page.text) == (200, True)
    assert client.get("/api/v1/log/entries", params=parameters).status_code == 422


def test_a_misspelt_filter_does_not_find_everything(client: TestClient) -> None:
    answer = client.get("/api/v1/log/entries", params={"usecase": "benefits"})
    assert (answer.status_code, "use_case" in answer.text) == (422, True)


def test_empty_fields_of_a_form_ask_nothing(client: TestClient) -> None:
    assert given_in({"unit": " ", "lang": "en", "type": ""}) == {}
    empty = {"unit": "", "person": "", "state": "", "since": ""}
    assert client.get("/api/v1/log/entries", params=empty).json() == client.get("/api/v1/log/entries").json()
    assert question({}) is not None


def test_a_contradiction_is_said(client: TestClient, program: Program) -> None:
    found = client.get("/api/v1/log/entries", params={"id": "w-1", "limit": 10}).json()["entries"]
    assert [one["conflicts_with"] is None for one in found] == [True, False]
    page = client.get(f"/audit/entries/{found[1]['index']}", params={"lang": "en"}).text
    assert f"Entry {found[0]['index']} has the same id with other bytes" in page


def test_an_entry_that_is_not_there(client: TestClient) -> None:
    assert client.get("/audit/entries/999").status_code == 404
    last = client.get("/api/v1/log/entries").json()["size"] - 1
    assert f"/audit/entries/{last + 1}" not in client.get(f"/audit/entries/{last}").text
    assert client.get("/audit/entries/none").status_code == 422


def test_who_may_look(program: Program) -> None:
    tokens = {role: new_token(role, roles=[role]) for role in ("viewer", "finance", "reviewer", "auditor")}
    import yaml

    known = [Token.model_validate(yaml.safe_load(entry)[0]) for _, entry in tokens.values()]
    guarded = TestClient(make_app([program.service], program.registry, Access(known, program.clock)))
    seen = {
        role: [
            guarded.get(path, headers={"authorization": f"Bearer {token}"}).status_code
            for path in (
                "/audit",
                "/audit/entries/6",
                "/api/v1/log/entries",
                "/api/v1/log/proof?index=6",
                "/api/v1/outputs",
            )
        ]
        for role, (token, _) in tokens.items()
    }
    assert seen == {"viewer": [403] * 5, "finance": [403] * 5, "reviewer": [200] * 5, "auditor": [200] * 5}


def test_an_event_as_names_and_values() -> None:
    event = {"id": "e", "data": {"unit": None, "systems": ["a", {"b": 1}], "tags": {}, "empty": []}}
    assert list(flat(event)) == [
        ("id", "e"), ("data.unit", "–"), ("data.systems.0", "a"), ("data.systems.1.b", "1"), ("data.tags", "{}"),
        ("data.empty", "[]"),
    ]  # fmt: skip


class TestReads:
    """Reads become entries."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[Program]:
        made = Program(Settings(data_dir=tmp_path / "var", log_origin="log.example/audit"))
        made.publish(window(1))
        made.settle()
        yield made
        made.close()

    def told(self, log: Program) -> list[Any]:
        """What the log holds about reads of itself."""
        log.service.reads.flush()
        log.settle()
        return [event.data for event in log.outcomes() if isinstance(event, LogRead)]

    def test_who_looked_at_what_is_an_entry(self, log: Program) -> None:
        http = TestClient(make_app([log.service], log.registry, Access(None, log.clock)), "http://localhost")
        log.sign()
        index_some(log.service.store)
        for path in (
            "/api/v1/log/entries?type=valvomo.collection.completed.v1", "/api/v1/log/entries/0",
            "/api/v1/log/proof?index=0", "/api/v1/findings", "/api/v1/outputs", "/audit", "/audit/entries/0",
            "/log/checkpoint", "/log/tile/0/000.p/1", "/audit/verify.js", "/api/v1/log/entries/99",
        ):  # fmt: skip
            http.get(path)
        found = self.told(log)
        assert [(one.reader, one.what, one.entries) for one in found] == [
            ("open", "entries", 1), ("open", "entry", 1), ("open", "proof", 1), ("open", "findings", 0),
            ("open", "outputs", 0), ("open", "page", 1), ("open", "page", 1),
        ]  # fmt: skip
        assert found[0].asked == {"type": "valvomo.collection.completed.v1"}
        assert log.size() == 1 + len(found)

    def test_the_same_question_is_told_once_in_ten_minutes(self, log: Program) -> None:
        for _ in range(3):
            log.service.reads.note("auditor-1", "entries", {"unit": "kymp"}, 4)
            log.service.reads.note("auditor-2", "entries", {"unit": "kymp"}, 4)
        assert [one.reader for one in self.told(log)] == ["auditor-1", "auditor-2"]
        log.clock.advance(timedelta(minutes=10))
        log.service.reads.note("auditor-1", "entries", {"unit": "kymp"}, 4)
        assert len(self.told(log)) == 3

    def test_once_also_after_a_restart(self, log: Program) -> None:
        for _ in range(2):
            log.service.reads.note("auditor-1", "entry", {"index": "0"}, 1)
            assert len(self.told(log)) == 1
            log.restart()

    def test_nobody_fills_the_log_by_reading_it(self, log: Program) -> None:
        for index in range(QUESTIONS + 50):
            log.service.reads.note("script", "entry", {"index": str(index)}, 1)
        found = self.told(log)
        assert len(found) == QUESTIONS + 1
        assert found[-1].asked == {"questions": f"more than {QUESTIONS}"}

    def test_what_was_looked_for_in_vain_is_not_written_down(self, log: Program) -> None:
        log.service.reads.note("auditor-1", "entries", {"output": "anna@example.org", "state": "overdue"}, 0)
        (found,) = self.told(log)
        assert found.asked == {"output": NOT_TOLD, "state": "overdue"}

    def test_reads_are_no_growth(self, log: Program) -> None:
        assert log.sign() is not None
        log.service.reads.note("auditor-1", "entries", {}, 1)
        assert len(self.told(log)) == 1
        assert log.sign() is None, "silence stays silent"

    def test_nothing_is_told_where_it_was_switched_off(self, log: Program) -> None:
        reads = Reads(log.service.store, SteppedClock(MONDAY), told=False)
        reads.note("auditor-1", "entries", {}, 1)
        assert reads.flush() == 0

    def test_a_database_that_is_away_loses_nothing(self, log: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        from services.shared.errors import TransientError

        def away() -> None:
            raise TransientError("away")

        reads = log.service.reads
        reads.note("auditor-1", "entries", {}, 1)
        with monkeypatch.context() as patched:
            patched.setattr(log.service.store, "transaction", away)
            with pytest.raises(TransientError):
                reads.step()
            reads.close()
        assert len(self.told(log)) == 1


class TestQuery:
    """`valvomo audit query`."""

    @pytest.fixture(autouse=True)
    def settings_of(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VALVOMO_DATA_DIR", str(program.settings.data_dir))
        monkeypatch.setenv("VALVOMO_LOG_READS", "false")
        monkeypatch.chdir(program.settings.data_dir)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["audit", "query", *arguments])

    def test_what_fits_as_a_table_and_as_json(self) -> None:
        found = self.run("--output", "o-1", "--json")
        entries = json.loads(found.stdout)["entries"]
        assert (found.exit_code, [one["event"]["subject"] for one in entries]) == (0, ["o-1"] * 4)
        table = self.run("--output", "o-1", "--limit", "2", "--newest-first")
        assert table.exit_code == 0
        assert str(entries[3]["index"]) in table.stdout
        assert "More may follow: --after -1 --before" in table.stdout

    def test_what_a_sender_wrote_is_no_markup(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        assert "[red]o-3" in self.run("--output", "[red]o-3").stdout

    def test_nothing_that_fits_has_exit_code_1(self) -> None:
        nothing = self.run("--unit", "nobody")
        assert (nothing.exit_code, "Nothing fits among" in nothing.stdout) == (1, True)

    def test_a_time_that_cannot_be_read_is_said(self) -> None:
        assert isinstance(self.run("--since", "yesterday").exception, ConfigurationError)

    def test_a_question_is_an_entry(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VALVOMO_LOG_READS", "true")
        self.run("--output", "o-1")
        pending = program.service.store.pending(["bus"], program.clock.now() + timedelta(days=9_999), 10)
        (told,) = (decode(one.message.value) for one in pending)
        assert isinstance(told, LogRead)
        assert (told.data.reader, told.data.asked, told.data.entries) == ("command", {"output": "o-1"}, 4)
