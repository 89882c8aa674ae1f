"""What is kept about a person: handed out to them, and made nobody's, while totals, log and proofs stay."""

import json
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from services.audit_log.adapters.entries import read_entries, read_frontier
from services.audit_log.adapters.tables import METADATA as LOG
from services.embedded import Program
from services.person import app
from services.shared.bus.open import open_bus
from services.shared.clock import SteppedClock, SystemClock
from services.shared.errors import ConfigurationError
from services.shared.relay import BusRelay
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.tlog.merkle import leaf_hash, root_of
from services.usage_collector.adapters.people import StoredPeople, open_people
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.erasing import erase, erase_again, find_subject
from services.usage_collector.main import build
from services.usage_collector.people import People

AINO, EERO = "aino.virtanen@example.org", "eero@example.org"
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
DECIDED = {"legal_basis": "GDPR 17(1)(b)", "approver": "dpo"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["person", *map(str, arguments)])


def erased(who: str) -> Result:
    return run("erase", who, "--legal-basis", "GDPR 17(1)(b)", "--approver", "dpo", "--yes")


def refusal(found: Result) -> str:
    assert isinstance(found.exception, ConfigurationError)
    return str(found.exception)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    return tmp_path / "var"


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    with closing(open_store(Settings(data_dir=data), "collector", METADATA)) as found:
        yield found


def output(number: int, requester: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "valvomo.ai.output.generated.v1",
        "source": "apps/chat",
        "id": f"out-{number}",
        "subject": "chat",
        "time": "2026-11-20T08:00:00Z",
        "data": {
            "output_id": f"out-{number}",
            "system": "chat",
            "generated_at": "2026-11-20T08:00:00Z",
            "requester": requester,
        },
    }


def settle(program: Program) -> None:
    with httpx.Client(base_url=program.address) as client:
        for _ in range(300):
            status = client.get("/api/v1/status").json()
            if all(one["caught_up"] for one in status["consumers"]):
                return
            time.sleep(0.05)
    raise AssertionError(status)


def test_the_story_of_a_person_in_a_running_program(data: Path, tmp_path: Path) -> None:
    with Program.build(Settings(data_dir=data, port=0, checkpoint_interval_seconds=0.2)) as program:
        people: People = program.services[0].people  # type: ignore[attr-defined]
        with httpx.Client(base_url=program.address) as client:
            for number in range(5):
                event = output(number, AINO if number < 3 else EERO)
                assert client.post(
                    "/v1/events", json=event, headers={"content-type": "application/cloudevents+json"}
                ).is_success
            settle(program)
            before = people.pseudonym(AINO)
            assert run("export", AINO, "--output", tmp_path / "aino.json").exit_code == 0
            told = json.loads((tmp_path / "aino.json").read_text())
            assert erased(AINO).exit_code == 0
            settle(program)
            time.sleep(0.1)  # within which it promises to forget
            assert people.pseudonym(AINO) != before, "the running program has forgotten, too"
            assert people.who(before) is None
    assert (told["identity"], told["pseudonym"]) == (AINO, before)
    [_, outputs, _] = told["kept"]
    assert {one["id"] for one in outputs["events"]} == {"out-0", "out-1", "out-2"}
    assert set(told["about"]) == {"fi", "sv", "en"}
    assert stat.S_IMODE((tmp_path / "aino.json").stat().st_mode) == 0o600
    with closing(open_store(Settings(data_dir=data), "log", LOG)) as log, log.reading() as connection:
        frontier = read_frontier(connection)
        entries = read_entries(connection, 0, frontier.size)
    assert all(one["id"].encode() in entries[one["log_entry"]] for one in outputs["events"])
    assert root_of(map(leaf_hash, entries)) == frontier.root()
    said = [entry for entry in entries if b"valvomo.person." in entry]
    assert [b"person.exported" in said[0], b"person.erased" in said[1], len(said)] == [True, True, 2]
    assert not any(before.encode() in entry or b"aino" in entry for entry in said)
    assert not any(b"aino" in path.read_bytes() for path in data.glob("*.db*"))


class TestErasing:
    def test_all_ids_of_a_person_go_and_nobody_elses(self, data: Path, store: Store) -> None:
        open_people(data, store)  # makes the key
        people = People(people_key(data), StoredPeople(store), ticks=map(float, count()).__next__)
        aino, eero = people.pseudonym(AINO, "user_1"), people.pseudonym(EERO)
        subject = find_subject(store, people, "user_1")
        assert (subject.pseudonym, subject.identity, subject.ids) == (aino, AINO, 2)
        assert find_subject(store, people, aino) == subject
        erase(store, subject, **DECIDED, now=NOW)
        assert people.pseudonym("user_1") not in {aino, eero}
        assert people.pseudonym(EERO) == eero
        with pytest.raises(ConfigurationError, match="a moment ago"):
            erase(store, subject, **DECIDED, now=NOW)

    def test_nothing_of_them_stays_in_the_files_of_a_running_collector(self, data: Path, store: Store) -> None:
        """SQLite leaves what was deleted in free pages and in its log of writes, unless it is told otherwise."""
        people = open_people(data, store)
        pseudonym = people.pseudonym(AINO)
        sealed = StoredPeople(store).sealed(pseudonym)
        assert sealed is not None
        assert any(sealed in path.read_bytes() for path in data.glob("collector.db*"))
        assert erased(AINO).exit_code == 0
        for path in data.glob("collector.db*"):
            assert sealed not in path.read_bytes(), path.name
            assert pseudonym.encode() not in path.read_bytes(), path.name

    def test_the_key_id_leads_to_nobody(self, data: Path, store: Store) -> None:
        people = open_people(data, store)
        pseudonym = people.pseudonym(AINO)
        subject = find_subject(store, people, AINO)
        assert subject.key_id.startswith("k-")
        assert pseudonym.removeprefix("p-") not in subject.key_id
        erase(store, subject, **DECIDED, now=NOW)
        [message] = [one.message for one in store.pending(["bus"], NOW, 10)]
        assert json.loads(message.value)["data"]["key_id"] == subject.key_id
        assert pseudonym.encode() not in message.value

    def test_nobody_of_that_name(self, data: Path, store: Store) -> None:
        with pytest.raises(ConfigurationError, match="found nobody") as error:
            find_subject(store, open_people(data, store), AINO)
        assert "aino" not in str(error.value)

    def test_a_backup_does_not_bring_a_person_back(self, data: Path, tmp_path: Path) -> None:
        settings, clock = Settings(data_dir=data, port=0), SteppedClock(NOW)
        with closing(open_bus(settings, clock)) as bus:
            service = build(settings, bus, clock, CollectorRegistry())
            pseudonym, eero = service.people.pseudonym(AINO), service.people.pseudonym(EERO)
            service.stop()
            shutil.copy(data / "collector.db", tmp_path / "backup.db")
            assert erased(AINO).exit_code == 0
            with closing(open_store(settings, "collector", METADATA)) as store:
                BusRelay(store, bus, SystemClock()).step()
            for path in data.glob("collector.db*"):
                path.unlink()
            shutil.copy(tmp_path / "backup.db", data / "collector.db")
            service = build(settings, bus, clock, CollectorRegistry())
            assert service.people.who(pseudonym) is None
            assert service.people.pseudonym(AINO) != pseudonym
            assert service.people.pseudonym(EERO) == eero
            service.stop()
            with closing(open_store(settings, "collector", METADATA)) as store:
                assert erase_again(store, bus) == 0, "told once, done once"

    def test_an_erasure_that_fails_leaves_the_person(
        self, data: Path, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        people = open_people(data, store)
        pseudonym = people.pseudonym(AINO)
        subject = find_subject(store, people, AINO)
        monkeypatch.setattr("services.usage_collector.erasing.message_of", lambda _event: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erase(store, subject, **DECIDED, now=NOW)
        assert People(people_key(data), StoredPeople(store)).pseudonym(AINO) == pseudonym


def people_key(data: Path) -> bytes:
    return bytes.fromhex((data / "keys/people.key").read_text())


class TestCommands:
    @pytest.mark.parametrize(
        "written",
        [
            ("people.csv", f"person,unit,valid_from,also\n{AINO.upper()},kymp,2026-01-01,\n"),
            ("people.csv", f"person,unit,valid_from,also\nother@example.org,kymp,2026-01-01,user_7 {AINO}\n"),
            ("reviewers.yaml", f"- {{unit: kymp, reviewer: {AINO}, valid_from: 2026-01-01}}\n"),
            ("reviewers.yaml", f"- unit: kymp\n  reports_to: '{AINO.upper()}'\n"),
        ],
    )
    def test_the_register_that_still_names_them_is_said(
        self, data: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: tuple[str, str]
    ) -> None:
        name, text = written
        open_people(data, store).pseudonym(AINO)
        (tmp_path / "city").mkdir()
        (tmp_path / "city" / name).write_text(text)
        monkeypatch.setenv("VALVOMO_REGISTER_DIR", str(tmp_path / "city"))
        found = erased(AINO)
        assert found.exit_code == 1
        assert "people.csv" in found.stderr
        assert "aino" not in found.stderr.lower()

    def test_a_person_is_asked_first(self, data: Path, store: Store) -> None:
        pseudonym = open_people(data, store).pseudonym(AINO)
        found = CliRunner().invoke(
            app, ["person", "erase", AINO, "--legal-basis", "GDPR 17", "--approver", "dpo"], input="n\n"
        )
        assert found.exit_code == 1
        assert open_people(data, store).pseudonym(AINO) == pseudonym

    def test_no_file_is_written_over(self, data: Path, store: Store, tmp_path: Path) -> None:
        open_people(data, store).pseudonym(AINO)
        (tmp_path / "there.json").write_text("mine")
        assert "already" in refusal(run("export", AINO, "--output", tmp_path / "there.json"))
        assert (tmp_path / "there.json").read_text() == "mine"

    def test_where_there_is_no_collector(self, data: Path) -> None:
        assert "collector.db" in refusal(erased(AINO))
        assert not (data / "collector.db").exists()
