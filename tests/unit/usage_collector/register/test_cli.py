"""`valvomo register`: what it prints and how it ends."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.settings import load_settings
from services.usage_collector.register.cli import app, publish_folder

EXAMPLE_CITY = Path(__file__).parents[4] / "deploy" / "example-city"


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(EXAMPLE_CITY, tmp_path / "city"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check_counts_what_can_be_published(city: Path) -> None:
    result = run("check", city)
    assert (result.exit_code, "535 placement" in result.stdout) == (0, True)


def test_check_lists_what_is_wrong_and_makes_no_database(city: Path) -> None:
    (city / "budgets.yaml").write_text("- {id: b, unit: kymp, period: 2026, amount: 9.5}\n")
    result = run("publish", city)
    assert result.exit_code == 1
    assert "budgets.yaml:1: found amount: 9.5, which YAML would round" in result.stderr
    assert "nothing was published" in result.stderr
    assert not (city.parent / "var").exists()


def test_check_tells_programs_the_same(city: Path) -> None:
    (city / "units.yaml").write_text("- {id: no}\n")
    result = run("check", city, "--json")
    assert result.exit_code == 1
    problem = next(row for row in json.loads(result.stdout)["problems"] if row["file"] == "units.yaml")
    assert (problem["line"], problem["code"]) == (1, "bare-boolean")


def test_publish_diff_and_publish_again(city: Path) -> None:
    assert json.loads(run("publish", city, "--json").stdout)["version"] == 1
    assert (same := run("diff", city)).exit_code == 0, same.stdout
    assert "version 1 is this folder" in same.stdout
    assert "nothing changed; version 1 holds" in run("publish", city).stdout
    budgets = city / "budgets.yaml"
    budgets.write_text(budgets.read_text().replace('"9000.00"', '"9500.00"'))
    differing = run("diff", city)
    assert (differing.exit_code, differing.stdout.splitlines()[0]) == (
        1,
        "~ budget kirjasto-2026 amount: 9000.00 → 9500.00",
    )
    assert "version 2: 1 changes" in run("publish", city).stdout


def test_diff_says_what_is_new_and_what_is_gone(city: Path) -> None:
    run("publish", city)
    contracts = city / "contracts.yaml"
    contracts.write_text("- {id: new, system: claude-api, vendor: anthropic, valid_from: 2026-01-01}\n")
    signs = [row["sign"] + row["fact_id"] for row in json.loads(run("diff", city, "--json").stdout)["changes"]]
    assert "+new@2026-01-01" in signs
    assert "-anthropic-2026@2026-01-01" in signs


def test_seed_writes_a_file_that_can_be_published(city: Path) -> None:
    (city / "tariffs" / "anthropic.yaml").unlink()
    result = run("seed", city, "--system", "claude-api", "--valid-from", "2026-01-01")
    assert (result.exit_code, "tariffs written to" in result.stdout) == (0, True)
    assert run("check", city).exit_code == 0


def test_seed_does_not_write_over_a_file_unasked(city: Path) -> None:
    before = (city / "tariffs" / "anthropic.yaml").read_text()
    result = run("seed", city)
    assert (result.exit_code, "add --replace" in result.stderr) == (2, True)
    assert (city / "tariffs" / "anthropic.yaml").read_text() == before
    assert run("seed", city, "--replace", "--sku", "claude-opus-5", "--json").exit_code == 0


def raise_a_budget(city: Path, to: str) -> None:
    budgets = city / "budgets.yaml"
    budgets.write_text(budgets.read_text().replace('"9000.00"', f'"{to}"'))


@pytest.fixture
def with_approval(city: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run("publish", city)
    monkeypatch.setenv("VALVOMO_REGISTER_APPROVAL", "true")
    raise_a_budget(city, "9500.00")
    return city


def test_with_approval_a_change_waits_for_a_second_person(with_approval: Path) -> None:
    said = json.loads(run("publish", with_approval, "--author", "u4711", "--reason", "decision 12", "--json").stdout)
    name = said["proposal"]["proposal"]
    assert (said["version"], said["changes"], said["proposal"]["changes"]) == (1, 0, 1)
    listed = run("proposals").stdout.splitlines()
    assert listed == [f"{name} by u4711: decision 12", "  ~ budget kirjasto-2026 amount: 9000.00 → 9500.00"]
    own = run("approve", name, "--as", "u4711")
    assert (own.exit_code, "expected a second person" in own.stderr) == (1, True)
    assert f"version 2 carries {name}" in run("approve", name, "--as", "u0815").stdout
    assert run("diff", with_approval).exit_code == 0
    assert run("proposals").stdout == "nothing waits for a second person\n"


def test_with_approval_publish_says_what_is_to_be_done(with_approval: Path) -> None:
    text = run("publish", with_approval, "--author", "u4711").stdout
    assert "1 changes wait for a second person; valvomo register approve" in text
    assert run("publish", with_approval, "--author", "u4711").stdout == text, "the same again proposes nothing twice"


def test_programs_read_proposals_and_decisions(with_approval: Path) -> None:
    tariffs = with_approval / "tariffs" / "city.yaml"
    tariffs.write_text(tariffs.read_text().replace("id: city-chatbot-2026", "id: city-chatbot-new"))
    run("publish", with_approval, "--author", "u4711")
    one = json.loads(run("proposals", "--json").stdout)["proposals"][0]
    assert (one["author"], one["outdated"], len(one["changes"])) == ("u4711", False, 3)
    assert [row["fact"]["id"] for row in one["changes"] if row["sign"] == "+"] == ["city-chatbot-new"]
    assert "+ tariff city-chatbot-new valid_from: 2026-01-01; system: city-chatbot; sku: *; " in run("proposals").stdout
    decided = json.loads(run("approve", one["proposal"], "--as", "u0815", "--refuse", "--json").stdout)
    assert decided == {"proposal": one["proposal"], "approver": "u0815", "approved": False, "version": None}
    assert "2 changes" not in run("diff", with_approval).stdout.splitlines()[-1]


def test_a_proposal_that_is_outdated_is_listed_as_such(with_approval: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("publish", with_approval, "--author", "u4711")
    raise_a_budget(with_approval, "9900.00")
    monkeypatch.setenv("VALVOMO_REGISTER_APPROVAL", "false")
    (with_approval / "budgets.yaml").write_text("")
    run("publish", with_approval)
    assert "(outdated: what it changes has changed since; refuse it)" in run("proposals").stdout


def test_with_approval_an_author_is_needed_before_anything_is_published(with_approval: Path) -> None:
    (with_approval / "reviewers.yaml").write_text("")
    result = run("publish", with_approval)
    assert (result.exit_code, "found no --author; expected one" in result.stderr) == (2, True)
    assert "- reviewer" in run("diff", with_approval).stdout, "nothing was published"


def test_with_approval_nobody_has_to_sign_what_needs_none(city: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("publish", city)
    monkeypatch.setenv("VALVOMO_REGISTER_APPROVAL", "true")
    (city / "reviewers.yaml").write_text("")
    assert "version 2: 9 changes" in run("publish", city).stdout


@pytest.mark.parametrize(
    ("option", "text"),
    [
        pytest.param("--author", "Anna Esimerkki", id="a name"),
        pytest.param("--author", "anna@city.example", id="an address"),
        pytest.param("--reason", "two\nlines", id="a reason of two lines"),
        pytest.param("--reason", "x" * 257, id="a reason that is too long"),
    ],
)
def test_what_may_not_enter_events_is_refused_without_repeating_it(city: Path, option: str, text: str) -> None:
    result = run("publish", city, option, text)
    assert (result.exit_code, f"{option}" in result.stderr) == (2, True)
    assert text not in result.stderr
    assert not (city.parent / "var").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(["check"], 2, "found no register folder", id="no folder"),
        pytest.param(["check", "nowhere"], 1, "nowhere:1: found no folder", id="a folder that is not there"),
        pytest.param(["approve", "x", "--as", "u1"], 1, "found no proposal 'x'", id="a proposal that is not there"),
        pytest.param(["approve", "x", "--as", "a b"], 2, "something else than an id as --as", id="a name as approver"),
        pytest.param(["seed", "x", "--vendor", "oracle"], 2, "found the vendor 'oracle'", id="a vendor without seeds"),
        pytest.param(["seed", "x", "--valid-from", "soon"], 2, "found --valid-from 'soon'", id="a day that is none"),
    ],
)
def test_errors_are_one_sentence_without_a_traceback(
    city: Path, arguments: list[str], code: int, sentence: str
) -> None:
    result = run(*arguments)
    assert (result.exit_code, sentence in result.stderr) == (code, True)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("command", ["check", "diff", "publish", "seed"])
def test_help_has_an_example_and_exit_codes(command: str) -> None:
    text = " ".join(run(command, "--help").stdout.split())
    assert f"valvomo register {command} deploy/example-city" in text
    assert "Exit codes: 0" in text


@pytest.mark.parametrize(
    ("command", "example"),
    [("proposals", "register proposals"), ("approve", "register approve 3f9c1a70b2de --as u0815")],
)
def test_help_of_approval_has_an_example_and_exit_codes(command: str, example: str) -> None:
    text = " ".join(run(command, "--help").stdout.split())
    assert f"valvomo {example}" in text
    assert "Exit codes: 0" in text


def test_a_folder_is_published_for_the_demo_on_a_bus_that_is_open(city: Path) -> None:
    bus = MemoryBus()
    clock = SteppedClock(datetime(2026, 11, 22, 8, tzinfo=UTC))
    first = publish_folder(city, load_settings(), bus, clock)
    assert (first.version, first.changes > 900) == (1, True)
    assert publish_folder(city, load_settings(), bus, clock).changes == 0, "people keep their pseudonyms"
