"""What is taken out of the log: everything, or one entry with its proof; who did so is an entry."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from services.audit_log.adapters.export import write_export
from services.audit_log.adapters.matters import cosigned, proof_of
from services.audit_log.adapters.tables import receipt
from services.audit_log.cli import app
from services.audit_log.main import signer
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings
from services.shared.tlog.cosignature import Cosigner, cosigned_at
from services.shared.tlog.note import parse_note
from services.shared.tlog.proof import ProofError, parse_proof, verify_proof
from services.shared.tlog.tiles import ENTRIES, parse_path
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import MONDAY, window

ORIGIN = "log.example/audit"
WITNESS = Cosigner("witness.auditor.example/w1", bytes(range(32)))


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A log of 300 entries, for tests that change nothing: a checkpoint over the first 200, and one over all."""
    made = make_log(tmp_path_factory.mktemp("standing"))
    yield made
    made.close()


@pytest.fixture
def quiet(standing: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    return at_hand(standing, tmp_path, monkeypatch)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """The same, of its own."""
    made = at_hand(make_log(tmp_path), tmp_path, monkeypatch)
    yield made
    made.close()


def make_log(folder: Path) -> Program:
    made = Program(Settings(data_dir=folder / "var", log_origin=ORIGIN))
    for first, end in ((0, 200), (200, 300)):
        made.publish(*(window(number) for number in range(first, end)))
        made.settle()
        made.sign()
    return made


def at_hand(program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Commands find this log, and work in `folder`."""
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(program.settings.data_dir))
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", ORIGIN)
    monkeypatch.chdir(folder)
    return program


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def told(program: Program) -> list[dict[str, object]]:
    """What `log.exported` events say, once the outbox was emptied."""
    program.settle()
    return [
        event.data.model_dump(mode="json") for event in program.outcomes() if event.type == "valvomo.log.exported.v1"
    ]


def cosign(program: Program, size: int) -> bytes:
    """Let the witness cosign the checkpoint over `size` entries; the note with its line."""
    note = (program.settings.data_dir / f"checkpoints/{size:012d}").read_bytes()
    line = WITNESS.cosign(parse_note(note).text, int(MONDAY.timestamp()))
    row = {"anchor": "w1", "size": size, "kind": "witness", "receipt": line, "anchored_at": MONDAY}
    with program.service.store.transaction() as tx:
        tx.connection.execute(insert(receipt).values(row))
    return note + line


def test_an_export_is_an_entry(program: Program, tmp_path: Path) -> None:
    result = json.loads(run("export", tmp_path / "out", "--json").stdout)
    assert (result["scope"], result["entries"], result["size"]) == ("whole", 300, 300)
    (event,) = told(program)
    assert (event["reader"], event["scope"], event["entries"], event["root"]) == (
        "command", "whole", 300, result["root"],
    )  # fmt: skip


def test_evidence_that_nobody_was_told_about_cannot_be_verified(quiet: Program, tmp_path: Path) -> None:
    def refuse(_: object) -> None:
        assert not (tmp_path / "out/checkpoint").exists()
        raise ConfigurationError("nobody hears")

    with quiet.service.store.reading() as connection, pytest.raises(ConfigurationError, match="nobody hears"):
        write_export(connection, tmp_path / "out", lambda _done, _total: None, refuse)
    assert (tmp_path / "out/tile/entries/000").exists()
    assert not (tmp_path / "out/checkpoint").exists()


def test_receipts_lie_beside_the_checkpoints(program: Program, tmp_path: Path) -> None:
    line = cosign(program, 200).splitlines(keepends=True)[-1]
    run("export", tmp_path / "out")
    assert (tmp_path / "out/anchors/w1/000000000200.receipt").read_bytes() == line
    text = (tmp_path / "out/README.md").read_text()
    assert all(f"--language {name}" in text for name in ("fi", "sv"))


@pytest.mark.parametrize("anchor", ["..", "../../outside", "/etc"])
def test_no_anchors_name_leads_out_of_the_folder(program: Program, tmp_path: Path, anchor: str) -> None:
    row = {"anchor": anchor, "size": 200, "kind": "mail", "receipt": b"x", "anchored_at": MONDAY}
    with program.service.store.transaction() as tx:
        tx.connection.execute(insert(receipt).values(row))
    run("export", tmp_path / "out")
    (found,) = tmp_path.rglob("*.receipt")
    assert found.parent.parent == tmp_path / "out/anchors"


@pytest.mark.parametrize("index", [0, 199, 255, 256, 299])
def test_a_proof_is_of_the_entrys_exact_bytes(quiet: Program, tmp_path: Path, index: int) -> None:
    result = run("proof", index, "--output", tmp_path / "one", "--json")
    assert json.loads(result.stdout)["index"] == index
    entry = (tmp_path / f"one/{index}.entry").read_bytes()
    proof = parse_proof((tmp_path / f"one/{index}.tlog-proof").read_bytes())
    assert entry == quiet.entries()[index]
    assert proof.checkpoint == (tmp_path / "one/checkpoint").read_bytes()
    key = signer(quiet.settings).key
    assert verify_proof(proof, entry, [key]).size == 300
    with pytest.raises(ProofError):
        verify_proof(proof, entry + b" ", [key])


def test_a_proof_takes_the_newest_checkpoint_that_a_witness_knows(program: Program) -> None:
    note = cosign(program, 200)
    with program.service.store.reading() as connection:
        _, early = proof_of(connection, 199)
        _, late = proof_of(connection, 200)
        assert cosigned(connection, b"another note", 200) == b"another note", "a line that makes no note is left out"
    assert early.checkpoint == note
    assert cosigned_at(parse_note(early.checkpoint), WITNESS.key) == int(MONDAY.timestamp())
    assert len(parse_note(late.checkpoint).signatures) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"), [((300,), "from 0 to 299"), ((0, "--output", "full"), "holds some")]
)
def test_what_cannot_be_proved_is_said_in_words(
    quiet: Program, tmp_path: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    result = run("proof", *arguments)
    assert isinstance(result.exception, ConfigurationError)
    assert sentence in str(result.exception)
    assert not (tmp_path / "proof-300").exists()


def test_a_bundle_that_was_pruned_is_left_out_and_its_hashes_are_not(
    quiet: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_first(_: object, first: int, end: int) -> list[bytes]:
        return quiet.entries()[first:end] if first >= 256 else []

    monkeypatch.setattr("services.audit_log.adapters.export.read_entries", without_first)
    monkeypatch.setattr("services.audit_log.adapters.export.minimum_index", lambda _: 256)
    run("export", tmp_path / "out")
    tiles = [
        parse_path(str(path.relative_to(tmp_path / "out")))
        for path in (tmp_path / "out/tile").rglob("*")
        if path.is_file()
    ]
    assert {tile.number for tile in tiles if tile.level == ENTRIES} == {1}
    assert {tile.number for tile in tiles if tile.level == 0} == {0, 1}


def test_a_matter_tells_the_log_what_was_asked(program: Program, tmp_path: Path) -> None:
    asked = ("--type", "valvomo.collection.completed.v1", "--since", "2026-01-01", "--event-id", "w-7")
    result = json.loads(run("export", tmp_path / "out", *asked, "--json").stdout)
    assert (result["scope"], result["entries"], result["first"]) == ("matter", 1, result["last"])
    (event,) = told(program)
    assert event["asked"] == {
        "event_id": "w-7", "type": "valvomo.collection.completed.v1", "since": "2025-12-31T22:00:00Z",
    }  # fmt: skip
    assert (event["scope"], event["entries"], event["first"]) == ("matter", 1, result["first"])
    assert json.loads((tmp_path / "out/manifest.json").read_bytes())["asked"] == event["asked"]


def test_a_range_is_led_to_from_a_kept_checkpoint(quiet: Program, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text(f"{ORIGIN}\n123\n{'A' * 43}=\n\n\N{EM DASH} {ORIGIN} AAAAAAA=\n")
    assert "20 entries written, of 300" in run(
        "export", tmp_path / "out", "--first", 280, "--checkpoint", kept
    ).stdout  # fmt: skip
    sizes = [json.loads(line)["size"] for line in (tmp_path / "out/consistency.jsonl").read_text().splitlines()]
    assert sizes == [123, 200]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--first", 1, "--unit", "kymp"), "expected one of them"),
        (("--state", "lost"), "found the state lost, expected one of"),
        (("--since", "yesterday"), "yesterday"),
        (("--checkpoint", "var/log.db"), "no checkpoint that can be read"),
        (("--output", "o-99"), "nothing was written"),
        (("--last", 300), "entries 0 to 299"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_asked_for_is_said_in_words(
    quiet: Program, tmp_path: Path, options: tuple[object, ...], sentence: str
) -> None:
    path = str(quiet.settings.data_dir / "log.db")
    result = run("export", tmp_path / "out", *(path if option == "var/log.db" else option for option in options))
    assert isinstance(result.exception, ConfigurationError)
    assert sentence in str(result.exception)
    assert not (tmp_path / "out").exists()
