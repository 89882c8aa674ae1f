"""Who may sign in, from the command line to the browser, the audit log and the doctor."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, select, update
from typer.testing import CliRunner, Result

from services.audit_log.adapters.tables import METADATA as LOG
from services.audit_log.adapters.tables import role_grant
from services.doctor import of_roles
from services.embedded import Program
from services.role_check import role_differences
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings
from services.shared.store import Transaction
from services.shared.store.open import open_store
from services.sign_in.adapters.tables import METADATA, account
from services.sign_in.main import key_file
from services.user import app

AINO, EERO = "aino.virtanen@example.org", "eero@example.org"
WHY = ("--approver", "head-of-ai", "--reason", "new colleague")


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["user", *arguments], input=stdin)


def done(*arguments: str, stdin: str | None = None) -> str:
    found = run(*arguments, stdin=stdin)
    assert found.exit_code == 0, (found.output, found.exception)
    return found.output


def refusal(*arguments: str, stdin: str | None = None) -> str:
    found = run(*arguments, stdin=stdin)
    assert isinstance(found.exception, ConfigurationError), found.output
    return str(found.exception)


def added(login: str = AINO, *roles: str) -> str:
    """Make an account; its password for one use."""
    options = [part for role in roles or ("reviewer",) for part in ("--role", role)]
    [password] = re.findall(r"works once: (\S+)", done("add", login, *options, *WHY))
    assert isinstance(password, str)
    return password


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done("list", "--json"))["accounts"]
    return found


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    return Settings(data_dir=tmp_path / "var", port=0)


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """The whole program, when it has read all that is on the bus."""
    with Program.build(settings) as program:
        deadline = time.monotonic() + 60
        while not httpx.get(f"{program.address}/api/v1/status").json()["caught_up"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield program.address


@contextmanager
def by_hand(settings: Settings) -> Iterator[Transaction]:
    """A transaction on the accounts, as somebody has it who writes into the database."""
    with closing(open_store(settings, "sign_in", METADATA)) as store, store.transaction() as tx:
        yield tx


def sign_in(client: httpx.Client, login: str, password: str) -> httpx.Response:
    return client.post("/sign-in", data={"form_token": token(client, "/sign-in"), "login": login, "password": password})


def token(client: httpx.Client, path: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def test_from_the_command_line_to_the_page_and_the_log(settings: Settings) -> None:
    once = added(AINO, "reviewer", "auditor")
    with running(settings) as address, httpx.Client(base_url=address) as client:
        assert sign_in(client, AINO, once).headers["location"] == "/account"
        new = "kolme punaista kettua"
        form = {"form_token": token(client, "/account"), "old": once, "new": new, "again": new}
        assert client.post("/account/password", data=form).status_code == 303
        page = client.get("/account?lang=en").text
        assert "Auditor" in page
        assert "The whole city" in page
        told = done("sessions", AINO, "--json")  # beside lines of the program's own log
        [shown], _ = json.JSONDecoder().raw_decode(told[told.index("[\n") :])
        assert set(shown) == {"began", "last_used", "how"}
        assert "by password" in done("sessions", AINO)
        assert "1 sessions ended" in done("sessions", AINO, "--end")
        assert client.get("/account", headers={"accept": "text/html"}).headers["location"].startswith("/sign-in")
    assert list(role_differences(settings)) == []
    assert [(one.state, one.about) for one in of_roles(settings)] == [("fine", "roles")]
    with closing(open_store(settings, "log", LOG)) as log, log.reading() as connection:
        roles = connection.execute(select(role_grant.c.role, role_grant.c.document)).all()
    assert {row.role for row in roles} == {"auditor", "reviewer"}
    assert all("head-of-ai" in row.document and "aino" not in row.document for row in roles)


def test_a_role_that_vanishes_or_comes_silently_is_seen(settings: Settings) -> None:
    added(AINO, "auditor")
    added(EERO, "viewer")
    with by_hand(settings) as tx:
        rows = [dict(row) for row in tx.connection.execute(select(account)).mappings()]
    auditor = next(row for row in rows if "auditor" in row["held"])
    done("role", "revoke", EERO, "--role", "viewer", *WHY)
    with running(settings):
        pass
    with by_hand(settings) as tx:
        tx.connection.execute(delete(account).where(account.c.person == auditor["person"]))
    [gone] = role_differences(settings)
    assert re.search(r"the audit log says \(entry \d+\) that p-\w+ has the role auditor", gone)
    with by_hand(settings) as tx:  # rows as they once were keep their seal
        tx.connection.execute(delete(account))
        tx.connection.execute(insert(account), rows)
    [back] = role_differences(settings)
    assert "has the role viewer, and the audit log does not know who gave it" in back
    with by_hand(settings) as tx:
        tx.connection.execute(update(account).values(held='[["admin", null, "local"]]'))
    assert any("2 accounts were written by somebody else" in one for one in role_differences(settings))
    assert {one.state for one in of_roles(settings)} == {"person"}
    assert run("list").exit_code == 1


def test_a_database_that_cannot_be_compared_is_a_note_and_nothing_is_made_by_looking(settings: Settings) -> None:
    assert list(of_roles(settings)) == []
    assert not settings.data_dir.exists()
    added()
    with closing(open_store(settings, "log", LOG)):
        pass
    key = key_file(settings)
    key.write_text("ab" * 32)
    [found] = of_roles(settings)
    assert (found.state, "sign-in.key is not the one" in found.sentence) == ("note", True)
    key.unlink()
    assert list(of_roles(settings)) == []
    assert not key.exists()


def test_what_is_shown_names_nobody_unless_it_is_asked_for(settings: Settings) -> None:
    added()
    assert AINO not in done("list") + done("list", "--json")
    assert AINO in done("list", "--names")
    assert AINO in done("list", "--names", "--json")
    [row] = listed()
    assert row["roles"] == [{"role": "reviewer", "unit": None, "by": "local"}]
    assert (row["password"], row["disabled"]) == ("one-time", False)


def test_roles_are_given_and_taken_by_login_or_pseudonym(settings: Settings) -> None:
    added()
    [row] = listed()
    assert "granted: auditor" in done("role", "grant", row["person"], "--role", "auditor", *WHY)
    assert "nothing changed" in done("role", "grant", AINO, "--role", "auditor", *WHY)
    assert "granted: reviewer in kymp" in done("role", "grant", AINO, "--role", "reviewer", "--unit", "kymp", *WHY)
    assert "revoked: auditor" in done("role", "revoke", AINO.upper(), "--role", "auditor", *WHY)
    assert [(one["role"], one["unit"]) for one in listed()[0]["roles"]] == [("reviewer", None), ("reviewer", "kymp")]


def test_an_account_is_closed_opened_and_given_another_password(settings: Settings) -> None:
    added()
    done("disable", AINO, *WHY)
    assert listed()[0]["disabled"]
    done("enable", AINO, *WHY)
    assert not listed()[0]["disabled"]
    assert re.search(r"works once: \S{20}", done("password", AINO, *WHY))
    assert "is set" in done("password", AINO, *WHY, "--password-stdin", stdin="neljä vihreää kettua\n")
    assert "short" in refusal("password", AINO, *WHY, "--password-stdin", stdin="lyhyt\n")


def test_who_comes_through_the_directory_needs_no_password(settings: Settings) -> None:
    told = done("add", EERO, "--role", "viewer", "--directory-only", *WHY)
    assert "password" not in told
    assert listed()[0]["password"] == "none"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(("add", AINO, "--role", "viewer", *WHY), "has an account already", id="a second account"),
        pytest.param(("add", "p-1234", "--role", "viewer", *WHY), "found a pseudonym", id="a pseudonym as login"),
        pytest.param(("add", EERO, "--role", "boss", *WHY), "another role than there is", id="no role"),
        pytest.param(("role", "grant", EERO, "--role", "viewer", *WHY), "found nobody", id="an unknown login"),
        pytest.param(
            ("disable", AINO, "--approver", "", "--reason", "x"), "cannot stand in the log", id="nobody decided"
        ),
        pytest.param(("role", "grant", AINO, "--role", "viewer", "--unit", "", *WHY), "no id", id="an empty unit"),
        pytest.param(("disable", "p-nobody", *WHY), "found nobody", id="an unknown pseudonym"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_without_the_login(
    settings: Settings, arguments: tuple[str, ...], sentence: str
) -> None:
    added()
    said = refusal(*arguments)
    assert sentence in said
    assert "example.org" not in said


@pytest.mark.parametrize("missing", ["--approver", "--reason"])
def test_no_role_changes_without_who_decided_it_and_why(settings: Settings, missing: str) -> None:
    kept: Mapping[str, str] = dict(zip(WHY[::2], WHY[1::2], strict=True))
    given = [part for name, text in kept.items() if name != missing for part in (name, text)]
    assert run("role", "revoke", AINO, "--role", "auditor", *given).exit_code == 2
