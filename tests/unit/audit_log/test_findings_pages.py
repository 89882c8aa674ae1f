"""The pages of findings and of the quarter, settling by hand, and the report on the command line."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from typer.testing import CliRunner

from services.audit_log.adapters.indexing import index_some
from services.audit_log.adapters.reviews.quarter import read_quarter
from services.audit_log.adapters.tables import finding
from services.audit_log.api import governance
from services.audit_log.api.findings import FindingRoutes
from services.audit_log.cli import app
from services.audit_log.domain.reviews.quarter import SampleLine
from services.audit_log.domain.reviews.sampling import parse_period
from services.audit_log.domain.reviews.settling import MOST_CHARACTERS, note_of
from services.shared.access import ANYBODY, Access, Grant, new_token
from services.shared.errors import ConfigurationError
from services.shared.events.outcomes import RoleChange, RoleChanged
from services.shared.http import make_app
from services.shared.settings import Settings
from services.shared.tokens import Role, Token
from services.shared.web.words import LANGUAGES
from tests.contract.governance_contract import WORDS, begin_city
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import at, generated, reviewed, used
from tests.unit.audit_log.people import Person, Sessions, sign_in
from tests.unit.audit_log.register_city import published, unit
from tests.unit.audit_log.test_pages import Outline

FINDINGS = "/findings"
FILTERED = "/findings?state=all&kind=overdue_review&severity=&unit=kymp&use_case=&older_than=0"
REPORT = "/governance/report?quarter=2026-Q4"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A city with findings, and enough reviews of three people to tell of."""
    made = Program(Settings(data_dir=tmp_path_factory.mktemp("log") / "var", log_origin="log.example/audit"))
    begin_city(made)
    made.publish(*(generated(f"m-{number}", at(102), use_case="chat") for number in range(36)))
    made.publish(*(reviewed(f"m-{number}", at(102), f"r{number}", reviewer=f"p-{number % 3}") for number in range(36)))
    made.settle()
    while index_some(made.service.store):
        pass
    made.sign()
    yield made
    made.close()


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def auditor(program: Program, sessions: Sessions) -> Person:
    return sign_in(program, sessions, "p-auditor", "auditor")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", [FINDINGS, FILTERED, REPORT])
def test_pages_are_whole_in_every_language(auditor: Person, path: str, language: str) -> None:
    answer = auditor.http.get(path, params={**dict(_parameters(path)), "lang": language})
    assert (answer.status_code, answer.headers["content-language"]) == (200, language)
    page = Outline(answer.text)
    assert (page.headings.count("h1"), page.headings[0]) == (1, "h1")
    assert (page.unscoped, page.unlabelled, page.scripts) == (0, 0, [])
    assert answer.text.count("<table>") == answer.text.count("<caption")
    assert "p-reviewer" not in answer.text


def test_every_link_of_the_report_leads_to_something_the_program_has(auditor: Person, program: Program) -> None:
    app = make_app([program.service], program.registry, Access((), program.clock))
    known = {*app.openapi()["paths"], "/", "/account"}
    text = auditor.get("/governance/report", quarter="2026-Q4", lang="en").text
    for link in {one.partition("?")[0].partition("#")[0] for one in Outline(text).links} - {"", "/docs"}:
        assert re.sub(r"/[0-9]+$", "/{index}", link) in known, link


def test_findings_say_what_they_mean_and_lead_to_their_output_and_entry(auditor: Person, program: Program) -> None:
    page = auditor.get(FINDINGS, lang="en")
    links = Outline(page.text).links
    assert any(link.startswith("/reviews/output?") and "id=a-2" in link for link in links)
    assert f"/audit/entries/{_row(program, 'used_unreviewed').opened_seq}?lang=en" in links
    assert "before a person had approved it" in page.text
    assert "kind=used_unreviewed" in page.text


@pytest.mark.parametrize("asked", ["kind=nonsense", "state=maybe", "older_than=-1", "older_than=x", "unit=%00"])
def test_a_filter_that_is_none_is_refused(auditor: Person, asked: str) -> None:
    for path in ("/findings", "/api/v1/findings"):
        assert auditor.http.get(f"{path}?{asked}").status_code == 422


def test_filters_of_the_interface(auditor: Person) -> None:
    def names(**asked: Any) -> list[str]:  # noqa: ANN401  # parameters of a query
        return [one["output_id"] for one in auditor.get("/api/v1/findings", **asked).json()["findings"]]

    assert names(unit="hyve") == ["b-1"]
    assert names(kind="used_unreviewed") == ["a-2"]
    assert names(state="closed") == ["a-3"]
    assert names(state="all", kind="overdue_review", unit="kymp", older_than=2) == ["a-0", "a-2", "a-3"]
    first = auditor.get("/api/v1/findings", limit=2).json()
    assert names(after=first["next"], limit=1) != [one["output_id"] for one in first["findings"]][:1]


def test_shares_over_http(auditor: Person) -> None:
    shares = auditor.get("/api/v1/governance/shares", unit="kymp", use_case="benefits").json()["shares"]
    assert [(one["due"], one["in_time"], one["share_in_time"]) for one in shares] == [(4, 1, 0.25)]
    assert shares[0]["low"] < 0.25 < shares[0]["high"]
    assert auditor.get("/api/v1/governance/shares", months=99).status_code == 422


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("finance", 403), ("reviewer", 403), ("auditor", 200), ("admin", 200)]
)
def test_who_may_see_how_teams_review(program: Program, sessions: Sessions, role: Role, status: int) -> None:
    person = sign_in(program, sessions, "p-someone", role)
    for path in ("/governance/report", "/api/v1/governance/report"):
        assert person.get(path, quarter="2026-Q4").status_code == status
    assert person.get("/api/v1/governance/shares").status_code == 200


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("fi", "Annettu: Tilintarkastaja · Koko kaupunki"),
        ("sv", "Återtagen: Granskare av resultat · admin"),
        ("en", "Revoked: Reviewer of outputs · admin"),
    ],
)
def test_changes_of_roles_are_told_in_the_readers_language(
    program: Program, auditor: Person, language: str, line: str
) -> None:
    program.publish(role_changed("auditor", None, "granted"), role_changed("reviewer", "admin", "revoked"))
    program.settle()
    assert f">{line}<" in auditor.get("/governance/report", quarter="2026-Q4", lang=language).text


def test_the_report_for_programs_names_no_person(auditor: Person) -> None:
    answer = auditor.get("/api/v1/governance/report", quarter="2026-Q4")
    report = answer.json()
    (team,) = report["indicators"]["teams"]
    assert (team["team"], team["reviews"], team["shares"]["changed"]["look"]) == ("kymp", 38, "low")
    assert report["indicators"]["hidden"] == 0
    assert {one["reason"] for one in report["untested"]} >= {"quarter_runs", "no_checkpoint", "without_hash"}
    assert '"p-' not in answer.text
    for wrong in ("2026", "2026-11", "2026-Q5", "x"):
        assert auditor.get("/api/v1/governance/report", quarter=wrong).status_code == 422


@pytest.mark.parametrize(
    ("fixed", "reasons"), [(at(-1_200), ["salts_unrevealed"]), (at(0), ["salts_unrevealed", "fixed_late"])]
)
def test_a_draw_that_could_be_foreseen_is_said_to_be(program: Program, fixed: datetime, reasons: list[str]) -> None:
    with program.service.store.reading() as connection:
        report = read_quarter(connection, parse_period("2026-Q4"), program.clock.now())
    line = SampleLine("2026-Q4", "2026-10-01", "2026-12-31", "0" * 64, fixed, 5, None)
    found = [one.reason for one in replace(report, samples=[line]).untested]
    assert [one for one in found if one in {"salts_unrevealed", "fixed_late", "no_draw_fixed"}] == reasons


def test_a_quarter_too_large_for_a_page_is_left_to_the_command(
    auditor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governance, "MOST_OUTPUTS", 10)
    answer = auditor.get("/governance/report", quarter="2026-Q4")
    assert (answer.status_code, "valvomo audit report" in answer.json()["detail"]) == (422, True)


def test_without_a_quarter_the_newest_that_is_over_is_told(auditor: Person) -> None:
    assert auditor.get("/api/v1/governance/report").json()["quarter"] == "2026-Q3"
    assert auditor.get("/api/v1/governance/report", quarter="").json()["quarter"] == "2026-Q3"  # a field left empty


# Settling


def test_an_auditor_settles_on_the_page_and_once(auditor: Person, program: Program) -> None:
    name = _row(program, "prohibited_use", "x-1").finding_id
    page = auditor.get(FINDINGS, lang="en").text
    assert 'name="form_token" value="form-p-auditor"' in page
    assert auditor.send("/findings/settle?lang=en", {"finding_id": name, "note": "too short"}).status_code == 422
    assert auditor.send("/findings/settle", {"finding_id": name, "note": WORDS}, token="stolen").status_code == 403
    done = auditor.send("/findings/settle?lang=en", {"finding_id": name, "note": WORDS})
    assert (done.status_code, done.headers["location"]) == (303, "/findings?lang=en&settled=true")
    again = auditor.send("/findings/settle?lang=en", {"finding_id": name, "note": WORDS})
    assert (again.status_code, "closed already" in again.text) == (422, True)
    program.settle()
    closed = json.loads(_row(program, "prohibited_use", "x-1").closed)
    assert (closed["reason"], closed["closed_by"], closed["note"]) == ("settled", "p-auditor", WORDS)
    listed = auditor.get("/findings", state="closed", lang="en").text
    assert WORDS in listed


@pytest.mark.parametrize(("role", "told"), [("viewer", False), ("finance", False), ("reviewer", True), ("admin", True)])
def test_who_settled_it_is_told_to_who_may_look_at_people(
    program: Program, sessions: Sessions, auditor: Person, role: Role, told: bool
) -> None:
    program.publish(generated("s-2", use_case="scoring"))
    program.settle()
    auditor.send("/findings/settle", {"finding_id": _row(program, "prohibited_use", "s-2").finding_id, "note": WORDS})
    program.settle()
    reader = sign_in(program, sessions, "p-reader", role)
    api, page = (reader.get(path, state="closed").text for path in ("/api/v1/findings", FINDINGS))
    assert ("p-auditor" in api, WORDS in api) == (told, True)
    assert ("p-auditor" in page, WORDS in page) == (False, True)


@pytest.mark.parametrize("name", ["", "none", "\0", "x" * 5_000, "\u200b"])
def test_a_form_about_no_finding_is_answered_in_words(auditor: Person, name: str) -> None:
    answer = auditor.send("/findings/settle?lang=en", {"finding_id": name, "note": WORDS})
    assert (answer.status_code, "There is no such finding" in answer.text) == (422, True)


@pytest.mark.parametrize("role", ["viewer", "finance", "reviewer"])
def test_nobody_else_settles(program: Program, sessions: Sessions, role: Role) -> None:
    person = sign_in(program, sessions, "p-someone", role)
    fields = {"finding_id": _row(program, "used_unreviewed").finding_id, "note": WORDS}
    assert person.send("/findings/settle", fields).status_code == 403
    headers = {"x-form-token": "form-p-someone"}
    assert person.http.post("/api/v1/findings/settle", json=fields, headers=headers).status_code == 403
    assert "form_token" not in person.get(FINDINGS, lang="en").text


def test_an_auditor_of_another_unit_settles_nothing_here(program: Program, sessions: Sessions) -> None:
    person = sign_in(program, sessions, "p-elsewhere", "auditor", "hyve")
    fields = {"finding_id": _row(program, "used_unreviewed").finding_id, "note": WORDS}
    answer = person.http.post("/api/v1/findings/settle", json=fields, headers={"x-form-token": "form-p-elsewhere"})
    assert answer.status_code == 403


def test_a_role_reaches_below_its_unit_and_no_other_role_widens_it(program: Program, sessions: Sessions) -> None:
    facts = unit("kymp", None), unit("tontti", "kymp")
    program.publish(*published(2, facts), generated("s-1", use_case="scoring", unit="tontti"))
    program.settle()
    name = _row(program, "prohibited_use", "s-1").finding_id

    def settles(unit_id: str) -> int:
        sessions.admit("p-two", Grant("auditor", unit_id), Grant("viewer"))
        sent = {"finding_id": name, "note": WORDS}
        http = Person(program, sessions, "p-two").http
        status: int = http.post(
            "/api/v1/findings/settle", json=sent, headers={"x-form-token": "form-p-two"}
        ).status_code
        return status

    assert [settles("hyve"), settles("kymp")] == [403, 202]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"finding_id": "none", "note": WORDS}, 404),
        ({"finding_id": "none", "note": ""}, 422),
        ({"finding_id": "none"}, 422),
        ({"finding_id": "\0", "note": WORDS}, 422),
        ({"finding_id": "\ud800", "note": WORDS}, 422),
        ({"finding_id": "none", "note": "\ud800 looked at and found well"}, 422),
        ({"finding_id": "none", "note": WORDS, "more": 1}, 422),
    ],
)
def test_settling_over_http_by_a_token(program: Program, fields: dict[str, Any], status: int) -> None:
    token, _ = new_token("audit", roles=["auditor"])
    access = Access((_token(token),), program.clock)
    http = TestClient(make_app([program.service], program.registry, access), "http://localhost")
    sent, headers = json.dumps(fields), {"content-type": "application/json"}
    assert http.post("/api/v1/findings/settle", content=sent, headers=headers).status_code == 401
    headers["authorization"] = f"Bearer {token}"
    assert http.post("/api/v1/findings/settle", content=sent, headers=headers).status_code == status


def test_nothing_is_settled_while_the_log_catches_up(program: Program) -> None:
    routes = FindingRoutes(program.service.store, program.service.reads, program.clock, lambda _connection: False)
    assert routes.settle(ANYBODY, _row(program, "used_unreviewed").finding_id, WORDS) == "early"
    assert _row(program, "used_unreviewed").closed is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "looked",
        "1234567890 12345",
        "ask maija.meikalainen@example.org about the letter",
        "letter of 010190-123A, wrong",
        "x" * (MOST_CHARACTERS + 1),
    ],
)
def test_a_note_that_says_nothing_or_too_much_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="found") as refused:
        note_of(text)
    assert "example.org" not in str(refused.value)
    assert "010190" not in str(refused.value)


def test_a_note_stands_in_one_line() -> None:
    assert note_of("  looked at\r\nthe letter\tand the file ") == "looked at the letter and the file"


# The command


def test_the_report_on_the_command_line(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(program.settings.data_dir))
    run = CliRunner()
    page = tmp_path / "report.html"
    arguments = ["audit", "report", "--quarter", "2026-Q4"]
    done = run.invoke(app, [*arguments, "--json", "--html", str(page), "--language", "sv"])
    assert (done.exit_code, json.loads(done.stdout)["quarter"]) == (0, "2026-Q4")
    assert '<html lang="sv">' in page.read_text(encoding="utf-8")
    assert "@page" in page.read_text(encoding="utf-8")
    summary = run.invoke(app, arguments)
    assert (summary.exit_code, "findings opened" in summary.stdout) == (0, True)


@pytest.mark.parametrize(
    "arguments", [["--quarter", "2026-11"], ["--language", "de"], ["--quarter", "2026-Q4", "--html", "/nowhere/r.html"]]
)
def test_what_the_command_cannot_do_is_a_sentence(
    program: Program, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(program.settings.data_dir))
    done = CliRunner().invoke(app, ["audit", "report", *arguments])
    assert isinstance(done.exception, ConfigurationError)


def _parameters(path: str) -> Iterator[tuple[str, str]]:
    for one in path.partition("?")[2].split("&"):
        if one:
            name, _, value = one.partition("=")
            yield name, value


def _row(program: Program, kind: str, *outputs: str) -> Any:  # noqa: ANN401  # a row of the table of findings
    query = select(finding).where(finding.c.kind == kind)
    with program.service.store.reading() as connection:
        return connection.execute(query.where(finding.c.output_id.in_(outputs)) if outputs else query).one()


def _token(token: str) -> Token:
    return Token(id="audit", sha256=sha256(token.encode()).hexdigest(), roles=("auditor",))


def role_changed(role: Role, unit_id: str | None, change: Literal["granted", "revoked"]) -> RoleChanged:
    told = {"role": role, "unit": unit_id, "change": change, "reason": "as agreed", "approver": "head-of-ai"}
    data = RoleChange.model_validate({"person": "p-auditor", "changed_at": at(102), **told})
    return RoleChanged(id=f"{role}.{change}", source="valvomo/sign-in", subject="p-auditor", time=at(102), data=data)


@pytest.mark.parametrize("about", ["requester", "actor", "reviewer"])
def test_nobody_settles_a_finding_about_themselves(program: Program, sessions: Sessions, about: str) -> None:
    """Whatever other roles they have, and by whichever of their names."""
    own, name = {about: "p-both"}, f"own-{about}"
    program.publish(
        generated(name, requester=own.get("requester", "p-x")), used(name, actor=own.get("actor", "p-y")),
        reviewed(name, decision="abstained", reviewer=own.get("reviewer", "p-z")),
    )  # fmt: skip
    program.settle()
    person = sign_in(program, sessions, "p-both", "auditor")
    fields = {"finding_id": _row(program, "used_unreviewed", name).finding_id, "note": WORDS}
    answer = person.http.post("/api/v1/findings/settle", json=fields, headers={"x-form-token": "form-p-both"})
    assert (answer.status_code, "somebody else" in answer.json()["detail"]) == (403, True)
