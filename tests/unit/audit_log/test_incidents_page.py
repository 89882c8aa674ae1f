"""The page and the API of incidents: who may, what each shows, and what is refused."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.audit_log.adapters.indexing import index_some
from services.shared.access import Access
from services.shared.http import make_app
from services.shared.settings import Settings
from services.shared.web.words import LANGUAGES
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import MONDAY, generated, register_events
from tests.unit.audit_log.people import Person, Sessions, sign_in

NEW = {"what": "a wrong refusal <b>", "kind": "serious", "aware_at": "2026-11-16T09:30", "use_case": "benefits"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = Program(Settings(data_dir=tmp_path_factory.mktemp("log") / "var", log_origin="log.example/audit"))
    made.publish(*register_events(), generated())
    made.settle()
    while index_some(made.service.store):
        pass
    yield made
    made.close()


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def reviewer(program: Program, sessions: Sessions) -> Person:
    return sign_in(program, sessions, "p-reviewer")


def listed(person: Person, **parameters: str) -> dict[str, Any]:
    found = person.get("/api/v1/incidents", **parameters).json()["incidents"]
    return {one["incident_id"]: one for one in found}


def test_the_life_of_an_incident_on_the_page(program: Program, reviewer: Person) -> None:
    assert "No incident is open" in reviewer.get("/incidents", lang="en").text
    answer = reviewer.send("/incidents/open", {**NEW, "incident_id": "i-page"})
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/incidents")
    assert answer.headers["location"].endswith("&said=opened")
    assert "on its way to the log" in reviewer.get("/incidents", lang="en", said="opened").text
    program.settle()
    page = reviewer.get("/incidents", lang="en").text
    assert "a wrong refusal &lt;b&gt;" in page
    assert "to be told by the end of 1 Dec 2026" in page
    assert "benefits is still in use" in page
    sent = {"incident_id": "i-page", "notified_at": "2026-11-16T09:45", "reference": ""}
    assert reviewer.send("/incidents/close", {"incident_id": "i-page", "outcome": "mended quickly"}).status_code == 422
    for whom in ("provider", "authority"):
        assert reviewer.send("/incidents/notify", {**sent, "whom": whom}).status_code == 303
    program.settle()
    assert "told 16 Nov 2026 09:45, in time" in reviewer.get("/incidents", lang="en").text
    assert reviewer.send("/incidents/close", {"incident_id": "i-page", "outcome": "mended quickly"}).status_code == 303
    program.settle()
    found = listed(reviewer)["i-page"]
    assert (found["opened_by"], found["unit"], found["system"]) == ("p-reviewer", "kymp", "now-assist")
    assert found["aware_at"] == "2026-11-16T07:30:00Z"
    assert found["closed"]["outcome"] == "mended quickly"
    assert [(one["whom"], one["state"]) for one in found["clocks"]] == [("provider", "done"), ("authority", "done")]
    assert "i-page" in listed(reviewer, state="closed")
    assert "i-page" not in listed(reviewer, state="open")
    assert "mended quickly" in reviewer.get("/incidents", lang="en").text
    while index_some(program.service.store):
        pass
    entries = reviewer.get("/api/v1/log/entries", person="p-reviewer", use_case="benefits").json()["entries"]
    assert [one["event"]["type"] for one in entries] == ["valvomo.incident.opened.v1"], (
        "whoever asks for a person finds it"
    )


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"aware_at": "2026-11-17T10:00"}, 422, "lies in the future"),
        ({"aware_at": "yesterday"}, 422, "not understood"),
        ({"aware_at": ""}, 422, "not understood"),
        ({"what": "short"}, 422, "not understood"),
        ({"what": "ask matti@example.org about it"}, 422, "not understood"),
        ({"kind": "mild"}, 422, "not understood"),
        ({"use_case": "", "unit": ""}, 422, "unit is missing"),
        ({"incident_id": "i" * 200}, 422, "not understood"),
    ],
)
def test_a_form_that_cannot_be_used_says_why_and_keeps_what_was_written(
    reviewer: Person, changes: dict[str, str], status: int, said: str
) -> None:
    answer = reviewer.http.post(
        "/incidents/open?lang=en", data={**NEW, **changes, "form_token": "form-p-reviewer", "system": "kept-system"}
    )
    assert answer.status_code == status
    assert said in answer.text
    assert 'value="kept-system"' in answer.text
    assert 'role="alert"' in answer.text


def test_who_may(program: Program, sessions: Sessions, reviewer: Person) -> None:
    viewer, elsewhere = (
        sign_in(program, sessions, "p-viewer", "viewer"),
        sign_in(program, sessions, "p-else", unit="sote"),
    )
    nobody = Person(program, sessions, "p-nobody")
    assert viewer.get("/incidents").status_code == 403
    assert viewer.send("/incidents/open", NEW).status_code == 403
    assert nobody.get("/api/v1/incidents").status_code == 401
    assert nobody.http.post("/api/v1/incidents", json={}).status_code == 401
    assert elsewhere.http.post("/incidents/open?lang=en", data={**NEW, "form_token": "form-p-else"}).status_code == 422
    assert reviewer.send("/incidents/open", NEW, token="form-p-else").status_code == 403  # of a test
    assert reviewer.http.post("/api/v1/incidents", json={}).status_code == 422


def test_a_program_in_a_persons_name_proves_that_it_comes_from_our_page(program: Program, reviewer: Person) -> None:
    wanted = {**NEW, "aware_at": "2026-11-16T07:30:00Z", "incident_id": "i-api", "kind": "death", "output_id": "o-1"}
    assert reviewer.http.post("/api/v1/incidents", json=wanted).status_code == 403
    header = {"x-form-token": "form-p-reviewer"}
    answer = reviewer.http.post("/api/v1/incidents", json=wanted, headers=header)
    assert (answer.status_code, answer.json()) == (
        202,
        {"incident_id": "i-api", "state": "accepted", "to_suspend": "benefits"},
    )
    assert reviewer.http.post("/api/v1/incidents", json=wanted, headers=header).status_code == 409
    program.settle()
    for path, document, status in (
        ("notify", {"incident_id": "i-api", "whom": "provider", "notified_at": "2026-11-15T00:00:00Z"}, 422),
        ("notify", {"incident_id": "i-none", "whom": "provider", "notified_at": "2026-11-16T07:40:00Z"}, 404),
        ("notify", {"incident_id": "i-api", "whom": "provider", "notified_at": "2026-11-16T07:40:00"}, 422),
        ("notify", {"incident_id": "i-api", "whom": "provider", "notified_at": "2026-11-16T07:40:00Z"}, 202),
        ("close", {"incident_id": "i-api", "outcome": "it was a false alarm"}, 409),
        ("close", {"incident_id": "i-api", "outcome": "x@y.fi was told of it"}, 422),
        ("close", {"incident_id": "i-api", "outcome": "it was a false alarm", "not_reportable": True}, 202),
        ("close", {"incident_id": "i-api", "outcome": "it was a false alarm", "more": 1}, 422),
    ):
        found = reviewer.http.post(f"/api/v1/incidents/{path}", json=document, headers=header)
        assert found.status_code == status, (path, document, found.text)
        if status != 202:
            assert "matti" not in found.text
            assert "x@y.fi" not in found.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_in_every_language_with_every_state(
    program: Program, reviewer: Person, language: str
) -> None:
    for number, kind in enumerate(("serious", "widespread", "death", "other")):
        reviewer.send("/incidents/open", {**NEW, "incident_id": f"i-{language}-{number}", "kind": kind})
    program.settle()
    early = {"whom": "authority", "notified_at": "2026-11-16T09:50"}
    reviewer.send("/incidents/notify", {"incident_id": f"i-{language}-0", **early})
    reviewer.send("/incidents/notify", {"incident_id": f"i-{language}-0", **early, "whom": "persons"})
    program.settle()
    program.clock.advance(timedelta(days=3))
    page = reviewer.get("/incidents", lang=language)
    assert page.status_code == 200
    assert page.headers["content-language"] == language
    assert page.text.count("<h1") == 1
    assert "clock-late" in page.text
    assert 'value="o-9"' in reviewer.get("/incidents", lang=language, output="o-9").text
    program.clock.advance(timedelta(days=-3))
    assert program.clock.now() == MONDAY


def test_forms_are_for_who_has_signed_in(program: Program, sessions: Sessions) -> None:
    assert 'method="post"' in sign_in(program, sessions, "p-auditor", "auditor").get("/incidents").text
    everything_open = TestClient(make_app([program.service], program.registry, Access(None, program.clock)))
    page = everything_open.get("http://localhost/incidents", params={"lang": "en"}).text
    assert 'method="post"' not in page
    assert "Sign in to open" in page
