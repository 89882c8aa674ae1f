"""The demo as a newcomer starts it: the same seed gives the same figures, and its stories leave their traces."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.simulator.telling_governance import OF_OUTPUTS
from tests.end_to_end.demo import PATIENCE_SECONDS, Shown, ended, start

KEYS = {
    "seed",
    "accounts",
    "readings",
    "charges",
    "total_eur",
    "by_unit",
    "unpriced",
    "findings_open",
    "log_size",
    "root",
    "stories",
}
SAME = ("readings", "charges", "total_eur", "by_unit", "unpriced", "findings_open")
"""What the seed decides; the log's size and root depend on when its entries came."""
STORIES = {
    "price_rise",
    "credit_pool",
    "unit_over_budget",
    "forecast_over_budget",
    "idle_seats",
    "licences",
    "source_outage",
    "restated_file",
    "model_without_tariff",
    "late_tariff",
    "reorganisation",
    "contract_ending",
    "anomaly",
    "use_case",
    "invoice",
    "used_unreviewed",
    "reviewed_after_use",
    "self_review",
    "reviewer_without_training",
    "bulk_over_limit",
    "used_while_suspended",
    "rejected_and_sent_again",
    "uncovered_model",
    "incident_told_in_time",
    "incident_told_late",
    "sampled_outputs",
    "shares_reviewed",
}


@pytest.fixture(scope="module")
def demos(month_demo: Shown, tmp_path_factory: pytest.TempPathFactory) -> list[Shown]:
    """Twice the same twenty days, side by side, and thirty or more. In thirty the library passes its budget."""
    folders = [tmp_path_factory.mktemp("demo") for _ in range(2)]
    children = [(start(folder, "--once", "--json", "--days", "20"), folder) for folder in folders]
    return [*(ended(child, folder) for child, folder in children), month_demo]


def test_the_same_seed_gives_the_same_figures(demos: list[Shown]) -> None:
    first, second, _ = demos
    assert set(first.figures) == KEYS
    assert first.figures["seed"] == 1
    assert {name: first.figures[name] for name in SAME} == {name: second.figures[name] for name in SAME}


def without_instants(told: Any) -> Any:  # noqa: ANN401  # any part of a JSON document
    """What a story tells without the times at which this run of the program took it in."""
    if isinstance(told, dict):
        return {name: without_instants(value) for name, value in told.items() if name != "recorded_at"}
    return [without_instants(one) for one in told] if isinstance(told, list) else told


def story(shown: Shown, name: str) -> Mapping[str, Any]:
    found = shown.figures["stories"][name]
    assert isinstance(found, dict), f"{name} is not told"
    return found


def total(by_unit: Mapping[str, str]) -> Decimal:
    return sum(map(Decimal, by_unit.values()), Decimal())


def test_the_same_seed_tells_the_same_stories(demos: list[Shown]) -> None:
    first, second, _ = (without_instants(one.figures["stories"]) for one in demos)
    assert set(first) == STORIES
    assert first == second


def test_a_late_tariff_prices_what_had_no_price(demos: list[Shown]) -> None:
    told = story(demos[2], "late_tariff")
    assert told["unpriced_before"] > 0 == told["unpriced_after"]
    assert total(told["before_eur"]) == 0 < total(told["after_eur"])
    assert told["author"] == "ict-register"
    assert "claude-esimerkki-5" in told["reason"]


def test_a_file_that_was_restated_has_two_figures(demos: list[Shown]) -> None:
    days = {one["source"]: one for one in story(demos[2], "restated_file")["days"]}
    assert set(days) == {"city/neuvontabotti", "anthropic/analytics"}
    chatbot, claude = (
        Decimal(days[source]["after_eur"]) / Decimal(days[source]["before_eur"])
        for source in ("city/neuvontabotti", "anthropic/analytics")
    )
    assert abs(chatbot - Decimal("0.86")) < Decimal("0.02")
    assert abs(claude - Decimal("1.3")) < Decimal("0.001")


def test_a_reorganisation_leaves_old_days_alone(demos: list[Shown]) -> None:
    told = story(demos[2], "reorganisation")
    before, after = told["before_eur"], told["after_eur"]
    assert set(before) == set(after) == {"neuvonta", "viestinta"}
    assert abs(total(before) - total(after)) < Decimal("0.000001")  # each day's remainders fall anew
    assert Decimal(after["neuvonta"]) > Decimal(before["neuvonta"])
    moved = [one for one in demos[2].said("unit.defined") if one["fact"] and one["fact"]["parent"] == "hyve"]
    [since] = [one["fact"]["valid_from"] for one in moved if one["fact"]["id"] == "neuvonta"]
    assert told["first_day"] == since


def test_a_pool_runs_dry_and_tells_both_costs(demos: list[Shown]) -> None:
    told = story(demos[2], "credit_pool")
    assert Decimal(told["used"]) == Decimal(told["size"]) + Decimal(told["beyond"]) > Decimal(told["size"])
    assert Decimal(told["left"]) == 0
    assert told["exhausted_at"].startswith(told["month"])
    assert told["next_unit"] == {"amount": "0.01", "currency": "USD"}
    for unit in told["units"].values():
        assert Decimal(unit["allocated_eur"]) > Decimal(unit["marginal_eur"]) > 0


def test_an_invoice_is_explained_and_estimates_are_brought_to_it(demos: list[Shown]) -> None:
    told = story(demos[2], "invoice")
    difference = Decimal(told["invoiced_eur"]) - Decimal(told["ledger_eur"])
    assert sum(Decimal(part) for part in told["explained"].values()) == Decimal(told["difference_eur"]) == difference
    assert Decimal(told["explained"]["fx_eur"]) != 0
    assert abs(Decimal(told["explained"]["unexplained_eur"])) < Decimal("0.01") * Decimal(told["invoiced_eur"])
    assert Decimal(told["true_up_eur"]) == difference
    assert Decimal(told["estimated_eur"]) > 0
    assert not told["needs_a_person"]


ALERTED = {
    "price_rise": "price_rising",
    "model_without_tariff": "price_missing",
    "contract_ending": "contract_ending",
}
"""The stories that a demo of any length has an alert for; of an anomaly and a forecast more days must be known."""


def test_what_awaits_somebody_was_told_to_somebody(demos: list[Shown]) -> None:
    raised = {one["alert_id"]: one for one in demos[2].said("alert.raised")}
    for name, kind in ALERTED.items():
        told = story(demos[2], name)["alert"]
        assert told["kind"] == kind
        assert told["recipients"]
        assert raised[told["alert_id"]]["figures"] == told["figures"]


def test_a_unit_is_over_its_budget_and_the_alert_says_so(demos: list[Shown]) -> None:
    told = story(demos[2], "unit_over_budget")
    assert Decimal(told["used_eur"]) > Decimal(told["amount_eur"])
    assert told["thresholds"][-1] == told["alert"]["threshold"] == "1.0"
    assert told["alert"]["recipients"] == ["finance-hyve", "head-kirjasto"]


def test_seats_are_idle_and_a_source_was_silent(demos: list[Shown]) -> None:
    seats = story(demos[2], "idle_seats")
    assert 0 < seats["active"] < seats["purchased"] == 530
    assert Decimal(seats["month_eur"]) > 0
    assert story(demos[2], "source_outage")["days"] == 2


def test_every_rule_that_a_story_names_is_there(demos: list[Shown]) -> None:
    rules = (Path(__file__).parents[2] / "deploy" / "prometheus" / "valvomo.rules.yml").read_text()
    named = {one["rule"] for one in demos[2].figures["stories"].values() if one and one["rule"]}
    assert {rule for rule in named if f"alert: {rule}\n" not in rules} == set()


def test_what_an_auditor_finds_has_the_severity_that_it_deserves(demos: list[Shown]) -> None:
    found = {name: story(demos[2], name) for name in OF_OUTPUTS}
    assert {name for name, one in found.items() if one["severity"] == "severe"} == {
        "used_unreviewed",
        "reviewed_after_use",
        "used_while_suspended",
    }
    assert {name: one["closed"] for name, one in found.items() if one["closed"]} == {
        "reviewed_after_use": "reviewed_after_use"
    }


def test_an_authority_was_told_in_time_once_and_once_not(demos: list[Shown]) -> None:
    assert story(demos[2], "incident_told_in_time")["clocks"] == {"provider": "done", "authority": "done"}
    assert story(demos[2], "incident_told_late")["clocks"] == {"provider": "done_late", "authority": "done_late"}
    late = {one["about"] for one in demos[2].said("finding.opened") if one["kind"] == "incident_late"}
    assert late == {"EX-INC-2 provider", "EX-INC-2 authority"}


def test_shares_reviewed_differ_by_unit(demos: list[Shown]) -> None:
    units = story(demos[2], "shares_reviewed")["units"]
    assert len({one["in_time"] / one["due"] for one in units.values()}) > 2
    assert units["konserni"]["in_time"] == 0  # what was used while suspended


def test_accounts_are_shown_once_and_kept_nowhere(demos: list[Shown]) -> None:
    first, second, _ = (one.figures["accounts"] for one in demos)
    assert [one["what"] for one in first] == ["reviewer", "editor", "auditor", "admin"]
    passwords = {one["password"] for one in (*first, *second)}
    assert len(passwords) == 8
    kept = [path.read_bytes() for path in (demos[0].data_dir / "demo").rglob("*") if path.is_file()]
    assert not any(one["password"].encode() in content for one in first for content in kept)


def test_what_ai_brought_stands_beside_its_cost(demos: list[Shown]) -> None:
    value = asked(demos[2], "value", "--json")
    uses = {one["use_case"]: one for one in value["use_cases"]}
    assert uses["tiedotteet"]["told"] == "no_target"
    assert {one["costed_by"] for one in uses.values()} == {"project", "unit_and_systems"}
    [licence] = value["licences"]
    assert (licence["system"], licence["base"]) == ("m365-copilot", "copilot-chat")
    assert licence["users"]["persons"] == 520


def test_the_commands_tell_the_stories_too(demos: list[Shown]) -> None:
    pool = story(demos[2], "credit_pool")
    shown = asked(demos[2], *pool["command"].split()[1:], "--json")["pools"][0]
    assert shown["units"] == pool["units"]
    history = asked(demos[2], "ledger", "history", "--json")
    late = story(demos[2], "late_tariff")
    found = [one for one in history["restatements"] if one["register_version"] == late["register_version"]]
    assert [one["after_eur"] for one in found] == [late["after_eur"]]
    invoice = story(demos[2], "invoice")
    assert asked(demos[2], *invoice["command"].split()[1:], "--json")["reconciliations"][0].items() <= invoice.items()
    assert asked(demos[2], "ledger", "check", "--json") == []


def asked(shown: Shown, *command: str) -> Any:  # noqa: ANN401  # a JSON document
    """What a command prints about the ledger that a demo left behind."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VALVOMO_")}
    done = subprocess.run(
        [sys.executable, "-m", "services", *command],
        env=environment | {"VALVOMO_DATA_DIR": str(shown.data_dir / "demo")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_has_no_price_or_no_unit_shows(demos: list[Shown]) -> None:
    figures = demos[0].figures
    assert figures["unpriced"] > 0
    assert float(figures["by_unit"]["unallocated"]) > 0
    assert figures["readings"] > figures["unpriced"]


def test_use_without_review_opens_findings(demos: list[Shown]) -> None:
    opened, closed = (len(demos[0].said(f"finding.{state}")) for state in ("opened", "closed"))
    assert demos[0].figures["findings_open"] == opened - closed > 0


def test_two_days_without_an_answer_are_one_gap(demos: list[Shown]) -> None:
    [gap] = demos[0].said("collection.gap_found")
    assert gap["source_name"] == "microsoft_copilot"
    assert gap["first_day"] < gap["last_day"]


def test_a_restated_day_comes_as_revisions(demos: list[Shown]) -> None:
    revised = {reading["system"] for reading in demos[0].said("usage.recorded") if reading["revision"] > 0}
    assert {"claude-api", "city-chatbot"} <= revised


@pytest.mark.parametrize("run", [pytest.param(0, id="twenty days"), pytest.param(2, id="thirty days or more")])
def test_a_budget_that_is_passed_is_told_once(demos: list[Shown], run: int) -> None:
    passed = [one for one in demos[run].said("threshold.crossed") if one["unit"] == "kirjasto"]
    found = Counter(one["threshold"] for one in passed if one["measure"] == "used")
    assert found == {"0.5": 1, "0.8": 1, "1.0": 1}
    mails = [mail for mail in demos[run].mails if "Kirjastopalvelut" in mail]
    told = Counter((mail.partition(":")[0], mail.rpartition("raja ")[2]) for mail in mails)
    assert set(told.values()) == {1}  # a lower threshold that was seen alone has a mail of its own
    assert {role for role, limit in told if limit == "100 %)"} == {"finance-hyve", "head-kirjasto"}


def test_progress_is_told_where_no_line_can_move(demos: list[Shown]) -> None:
    lines = demos[0].told.splitlines()
    assert lines
    assert all(line.isprintable() for line in lines)


def test_one_day_is_enough(tmp_path: Path) -> None:
    assert ended(start(tmp_path, "--once", "--json", "--days", "1"), tmp_path).figures["readings"] > 0


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refused(shown: Shown) -> str:
    assert (shown.status, shown.printed) == (2, "")
    [sentence] = shown.told.splitlines()
    return sentence


def test_a_port_in_use_is_told_before_anything_is_thrown_away(tmp_path: Path, taken: int) -> None:
    (tmp_path / "demo").mkdir()
    before = tmp_path / "demo" / "this-is-a-demo"
    before.touch()
    said = refused(ended(start(tmp_path, "--once", VALVOMO_PORT=str(taken)), tmp_path))
    assert f"127.0.0.1:{taken}" in said
    assert "VALVOMO_PORT" in said
    assert before.exists()


def test_a_demo_keeps_to_this_machine(tmp_path: Path) -> None:
    assert "expected 127.0.0.1" in refused(ended(start(tmp_path, "--once", VALVOMO_HOST="0.0.0.0"), tmp_path))  # noqa: S104  # it is refused


def test_a_folder_with_something_else_in_it_stays(tmp_path: Path) -> None:
    other = tmp_path / "demo" / "thesis.txt"
    other.parent.mkdir()
    other.touch()
    assert "files of another kind" in refused(ended(start(tmp_path, "--once"), tmp_path))
    assert other.exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "VALVOMO_DATA_DIR" in refused(ended(start(tmp_path / "file", "--once"), tmp_path))


def test_ctrl_c_ends_it_and_a_second_demo_waits_its_turn(tmp_path: Path) -> None:
    first = start(tmp_path, "--days", "1")
    assert first.stderr is not None
    first.stderr.readline()  # it is at work
    second = ended(start(tmp_path, "--once"), tmp_path)
    first.send_signal(signal.SIGINT)
    shown = ended(first, tmp_path)
    assert "another demo" in refused(second)
    assert shown.status in {0, 130}  # 0: it was up already and was asked to stop
    assert "Traceback" not in shown.told
