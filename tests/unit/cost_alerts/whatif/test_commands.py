"""What people write into the files of a what-if, what they are told when it is wrong, and what the commands print."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cost_alerts.adapters.whatif.simulate import last_months
from services.cost_alerts.cli import app, whatif
from services.shared.bus.memory import MemoryBus
from services.shared.errors import ConfigurationError
from services.shared.events.usage import Consumer
from tests.contract.ledger_world import BASE, MODEL, START, SYSTEM, World, make_world, placed, reading

TARIFF = f"""
  - id: dearer
    system: {SYSTEM}
    sku: {MODEL}
    meter: input_tokens
    model: per_unit
    price: "6.00"
    per: "1000000"
    currency: USD
    valid_from: 2027-01-01
    source: a letter
    checked_on: 2026-11-01"""

MOONS = """terms: [{
    kind: fee, id: f, sku: base, amount: "5.00", currency: EUR, every: month,
    share: {by: fixed, weights: {kymp: "1", moon: "2"}},
}]"""


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in a data folder: two units' use in October, some of it without a price, and people who used it."""
    folder = tmp_path_factory.mktemp("ledger")
    world: World = make_world(folder, lambda clock: MemoryBus(clock, partitions=1))
    world.register(*BASE, *(placed(f"p-{number:03d}", "kymp") for number in range(20)))
    world.publish(reading("a"), reading("b", account="wrk-sote"), reading("c", sku="new", account="wrk-sote"))
    for number in range(20):
        world.publish(reading(f"p{number}", start=START, consumer=Consumer(person=f"p-{number:03d}"), sku="new"))
        world.publish(reading(f"q{number}", start=START, consumer=Consumer(person=f"p-{number:03d}")))
    world.settle()
    world.close()
    return folder


@pytest.fixture(autouse=True)
def there(ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(ledger))
    monkeypatch.setattr(whatif, "SystemClock", Clock)


def run(command: str, text: str, *words: str) -> Result:
    Path("what.yaml").write_text(text)
    option = {"simulate": "--change", "estimate": "--plan"}[command]
    return CliRunner().invoke(app, [command, option, "what.yaml", *words], catch_exceptions=False)


def told(command: str, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        run(command, text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "what.yaml:1: found no change; expected entries of tariffs, contracts, allocation, seats, rates, without"),
        ("tariffs: []", "what.yaml:1: found no change"),
        ("- tariffs", "what.yaml:1: found no named members; write for example tariffs: and a list below it"),
        ("tarifs: []", "what.yaml:1: found `tarifs`; expected one of tariffs, contracts, allocation, seats, rates"),
        ("tariffs: 5", "what.yaml:1: tariffs: found no list; write each entry as a line that begins with -"),
        ("tariffs: [x]", "what.yaml:1: tariffs: found no entry with members"),
        ("tariffs: [", "what.yaml:1: found no YAML ("),
        ("tariffs: []\ntariffs: []", "what.yaml:2: found `tariffs` a second time"),
        ("rates: &a []\nseats: *a", "what.yaml:2: found an alias, or brackets without end; write the entries out"),
        ("seats: " + "[" * 60, "what.yaml:1: found an alias, or brackets without end"),
        (f"tariffs:{TARIFF}".replace('"6.00"', "6.00"), "what.yaml:7: found 6.00 without quotes, which YAML takes for"),
        (f"tariffs:{TARIFF}".replace("2027-01-01", "2027-02-30"), "what.yaml:10: found the day 2027-02-30; expected"),
        (f"tariffs:{TARIFF}".replace('    price: "6.00"\n', ""), "tariffs dearer: found"),
        (f"tariffs:{TARIFF}".replace("    source: a letter\n", ""), "what.yaml:2: tariffs dearer: found no source"),
        (f"tariffs:{TARIFF}".replace("currency", "curency"), "what.yaml:9: tariffs dearer: found the member curency"),
        (f"tariffs:{TARIFF}".replace(SYSTEM, "moon"), f"what.yaml:3: found the system moon; expected one of {SYSTEM}"),
        (f"tariffs:{TARIFF}".replace("USD", "JPY"), "what.yaml:2: found the currency JPY, of which"),
        (f"tariffs:{TARIFF}\n    valid_to: 2027-02-30", "what.yaml:13: found the day 2027-02-30"),
        (f"tariffs:{TARIFF}{TARIFF}", "what.yaml:13: found two entries for one and the same"),
        (
            f"tariffs:{TARIFF}\n    valid_to: 2026-10-01".replace("2027-01-01", "2026-01-01"),
            "what.yaml:13: found valid_to: 2026-10-01, which is past; a change is tried on all days",
        ),
        ("seats: [{system: a, sku: b, purchased: 3}]", "what.yaml:1: found seats of a b; expected those that"),
        ("seats: [{system: a, sku: b, purchased: -3}]", "what.yaml:1: seats: found purchased: -3; expected another"),
        ('rates: [{currency: USD, per_euro: "0"}]', "what.yaml:1: found the rate 0 of USD; expected more than nought"),
        (
            'rates: [{currency: USD, per_euro: "1.2"}, {currency: USD, per_euro: "1.3"}]',
            "what.yaml:1: found two entries for one and the same",
        ),
        (
            "seats:\n- {system: a, sku: b, purchased: 3}\n- {system: a, sku: b, purchased: 4}",
            "what.yaml:3: found two entries for one and the same",
        ),
        (
            "allocation: [{order: 1, match: {account: a}, unit: moon, valid_from: 2026-01-01}]",
            "what.yaml:1: found the unit moon; expected one of city, kymp, sote",
        ),
        (
            f"contracts:\n- {{id: c, system: {SYSTEM}, vendor: v, valid_from: 2026-01-01, {MOONS}}}",
            "what.yaml:2: found the unit moon; expected one of city, kymp, sote",
        ),
        ("without: [moon]", "what.yaml:1: without: found moon; expected the id of a tariff, a contract or a rule"),
        (
            "allocation: [{order: 1, match: {person: Maija Meri}, unit: kymp, valid_from: 2026-01-01}]",
            "what.yaml:1: allocation what-if-0: found match.person: a value; expected another",
        ),
    ],
)  # fmt: skip
def test_a_wrong_change_is_refused_with_its_line(text: str, sentence: str) -> None:
    assert sentence in told("simulate", text)


def test_a_name_is_not_repeated() -> None:
    text = "allocation: [{order: 1, match: {person: Maija Meri}, unit: kymp, valid_from: 2026-01-01}]"
    assert "Maija" not in told("simulate", text)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"\xff\xfe\x00", "found bytes that are no UTF-8"),
        (b"a" * 1_000_001, "found 1,000,001 bytes"),
        (None, "found no file"),
    ],
)
def test_a_file_that_cannot_be_read(raw: bytes | None, sentence: str) -> None:
    if raw is not None:
        Path("what.yaml").write_bytes(raw)
    with pytest.raises(ConfigurationError, match=sentence):
        CliRunner().invoke(app, ["simulate", "--change", "what.yaml"], catch_exceptions=False)


def test_a_dearer_tariff_in_every_form() -> None:
    found = json.loads(run("simulate", f"name: x\ntariffs:{TARIFF}", "--months", "1", "--json").stdout)
    kymp, sote = found["rows"]
    assert (found["months"], found["ledger_differs_eur"]) == (["2026-10"], "0")
    assert (kymp["unit"], kymp["before_eur"], kymp["after_eur"], kymp["difference_eur"]) == (
        "kymp",
        "75.6",
        "126",
        "50.4",
    )
    assert (sote["before_eur"], sote["after_eur"], sote["unpriced_before"]) == ("3.6", "6", 1)
    assert (found["total"]["after_eur"], found["by_month"][0]["month"]) == ("132", "2026-10")
    rows = list(csv.reader(io.StringIO(run("simulate", f"tariffs:{TARIFF}", "--format", "csv").stdout)))
    assert rows[0][:5] == ["unit", "system", "before_eur", "after_eur", "difference_eur"]
    assert rows[-1] == ["total", "", "79.2", "132", "52.8", "132", "21", "21"]
    printed = run("simulate", f"tariffs:{TARIFF}").stdout
    assert "If it had been so in 2026-08 to 2026-10" in printed
    assert [line.split() for line in printed.splitlines() if "total" in line] == [["total", "79.20", "132.00", "52.80"]]


def test_a_price_that_is_taken_away_leaves_the_cost_unknown() -> None:
    text = f"without: [{MODEL}-input_tokens]"
    row = json.loads(run("simulate", text, "--json").stdout)["rows"][0]
    assert (row["after_eur"], row["difference_eur"], row["after_priced_eur"]) == (None, None, "25.2")
    assert (row["unpriced_before"], row["unpriced_after"]) == (20, 41)
    printed = run("simulate", text).stdout
    assert "unknown" in printed
    assert "22 readings or charges would have no price" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "what.yaml:1: plan: found no name"),
        ("name: x\nusers: 5", "comparable must be given, or seats"),
        (f"name: x\nusers: 0\ncomparable: [{SYSTEM}]", "what.yaml:2: plan: found users: 0"),
        (f"name: x\nusers: many\ncomparable: [{SYSTEM}]", "what.yaml:2: plan: found users: 'many'"),
        (f"name: x\nusers: 5\nuses: 3\ncomparable: [{SYSTEM}]", "what.yaml:3: plan: found the member uses"),
        (f"name: x\nusers: 5\nmonths: 0\ncomparable: [{SYSTEM}]", "what.yaml:3: plan: found months: 0"),
        ("name: x\nusers: 5\ncomparable: [moon]", "comparable: found moon"),
    ],
)
def test_a_wrong_plan_is_refused(text: str, sentence: str) -> None:
    assert sentence in told("estimate", text)


def test_an_estimate_says_what_it_rests_on() -> None:
    text = f"name: 'Tutor [/red]'\nusers: 10\nmonths: 6\ncomparable: [{SYSTEM}]"
    done = run("estimate", text, "--json")
    found = json.loads(done.stdout)
    [part] = found["parts"]
    assert done.exit_code == 0
    assert Decimal(found["monthly_eur"]["mid"]) == pytest.approx(Decimal(36), abs=Decimal("0.000001"))
    assert Decimal(found["total_eur"]["mid"]) == 6 * Decimal(found["monthly_eur"]["mid"])
    assert (part["limits_of"], part["persons"], part["skus"], part["without_price"]) == (
        "persons",
        20,
        [MODEL],
        ["new"],
    )
    assert found["rests_on"] == {"first": "2026-08", "last": "2026-10"}
    printed = " ".join(run("estimate", text).stdout.split())
    assert "Tutor [/red]: 10 users" in printed
    assert "20 persons, 2026-08 to 2026-10; low and high by groups drawn from them" in printed
    assert "without new, which has no price" in printed
    assert "p-0" not in done.stdout + printed


def test_not_enough_data_is_said_plainly() -> None:
    text = f'name: Tutor\nusers: 10\nuses_per_user_per_month: "3"\ncomparable: [{SYSTEM}]'
    done = run("estimate", text)
    assert done.exit_code == 1
    assert "not enough data: nothing counts its uses" in " ".join(done.stdout.split())
    assert "not known" in done.stdout
    assert json.loads(run("estimate", text, "--json").stdout)["monthly_eur"] is None


def test_months_go_back_from_the_last_full_one() -> None:
    found = [str(month) for month in last_months(date(2026, 2, 1), 3)]
    assert found == ["2025-11", "2025-12", "2026-01"]


def test_persons_of_a_small_part_of_the_use_are_no_silent_basis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is paid names nobody; twenty persons are told of by readings that are worth a tenth of it."""
    world: World = make_world(tmp_path / "told", lambda clock: MemoryBus(clock, partitions=1))
    world.register(*BASE)
    paid = [reading(f"r{number}", start=START) for number in range(200)]
    told = [
        reading(f"p{number}", start=START, purpose="attribution", consumer=Consumer(person=f"p-{number:03d}"))
        for number in range(20)
    ]
    world.publish(*paid, *told)
    world.settle()
    world.close()
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "told"))
    text = f"name: x\nusers: 10\ncomparable: [{SYSTEM}]"
    [part] = json.loads(run("estimate", text, "--json").stdout)["parts"]
    assert (part["persons"], part["persons_use_share_of_paid"]) == (20, "0.1000")
    assert "20 persons, whose use is 10.00% of what was paid for" in " ".join(run("estimate", text).stdout.split())
