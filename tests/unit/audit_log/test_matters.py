"""Extracts: a range or a matter, every entry proved; what was done to one, and what is said of it."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.audit_log.adapters.matters import proof_of, write_matter, write_range
from services.audit_log.domain.search import Filter
from services.audit_log.main import signer
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings
from services.shared.tlog.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from services.shared.tlog.entry import Position, make_entry, parse_entry
from services.shared.tlog.note import parse_note
from services.verifier.extract import Extracted, entry_line, parse_entry_line, verify_extract
from services.verifier.lines import folder_lines
from services.verifier.table import COLUMNS, table_head, table_row
from services.verifier.words import LANGUAGES
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import MONDAY, generated, reviewed, used, window

ORIGIN = "log.example/audit"
Progress = Callable[[int, int | None], None]


def quietly(_done: int, _total: int | None) -> None:
    pass


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A log of 600 entries and some about three outputs; checkpoints over 3, 300 and all. Nothing changes it."""
    folder = tmp_path_factory.mktemp("log")
    made = Program(Settings(data_dir=folder / "var", log_origin=ORIGIN))
    for events in (
        [window(number) for number in range(3)],
        [window(number) for number in range(3, 300)],
        [generated("o-1"), reviewed("o-1"), generated("o-2"), used("o-1"), generated("o-3", unit="sote")],
        [window(number) for number in range(300, 600)],
    ):
        made.publish(*events)
        made.settle()
        made.sign()
    yield made
    made.close()


@pytest.fixture(scope="module")
def ranged(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Entries 250 to 269."""
    folder = tmp_path_factory.mktemp("range")
    with program.service.store.reading() as connection:
        write_range(connection, folder, first=250, last=269, progress=quietly)
    return folder


@pytest.fixture(scope="module")
def matter(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What names output o-1."""
    folder = tmp_path_factory.mktemp("matter")
    with program.service.store.reading() as connection:
        write_matter(connection, folder, Filter(output="o-1"), progress=quietly)
    return folder


@pytest.fixture
def copied(ranged: Path, tmp_path: Path) -> Path:
    return shutil.copytree(ranged, tmp_path / "range")


def verified(program: Program, folder: Path, *kept: bytes) -> Extracted:
    """What the verifier says, with checkpoints that somebody kept."""
    key = signer(program.settings).key
    signed = open_checkpoint((folder / "checkpoint").read_bytes(), key)
    known = [(f"kept {at}", open_checkpoint(note, key)) for at, note in enumerate(kept)]
    return verify_extract((folder / "manifest.json").read_bytes(), folder_lines(folder), signed, known)


def notes(program: Program) -> list[bytes]:
    folder = program.settings.data_dir / "checkpoints"
    return [path.read_bytes() for path in sorted(folder.glob("0*"))]


def damage(found: Extracted) -> list[tuple[str, str, int | None, int | None]]:
    return [(one.kind, one.name, one.first, one.last) for one in found.damage]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "entries.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_range_is_whole_and_verifies_with_every_checkpoint_that_was_ever_kept(program: Program, ranged: Path) -> None:
    found = verified(program, ranged, *notes(program))
    assert (found.entries, found.damage) == (20, ())
    assert [notice.name for notice in found.notices] == ["extract.range"]
    assert all(
        "250" in found.notices[0].told(language) and "269" in found.notices[0].told(language) for language in LANGUAGES
    )
    manifest = json.loads((ranged / "manifest.json").read_bytes())
    assert (manifest["scope"], manifest["first"], manifest["last"], manifest["complete"]) == ("range", 250, 269, True)
    assert manifest["files"]["entries.jsonl"]["lines"] == 20
    assert manifest["files"]["entries.csv"]["lines"] == 21
    entries = program.entries()
    lines = (ranged / "entries.jsonl").read_bytes().splitlines(keepends=True)
    assert [parse_entry_line(line)[1] for line in lines] == entries[250:270]
    assert found.newest == max(parse_entry(entry).position.ingest_time for entry in entries[250:270])


def test_a_matter_says_that_it_does_not_show_that_there_is_nothing_else(program: Program, matter: Path) -> None:
    found = verified(program, matter, *notes(program))
    assert found.damage == ()
    assert [notice.name for notice in found.notices] == ["extract.matter"]
    manifest = json.loads((matter / "manifest.json").read_bytes())
    assert (manifest["scope"], manifest["complete"], manifest["asked"]) == ("matter", False, {"output": "o-1"})
    table = rows(matter)
    assert {row["subject"] for row in table} == {"o-1"}
    assert {row["type"].split(".")[-2] for row in table} >= {"generated", "decided", "used"}
    assert all(json.loads(row["data"])["output_id"] == "o-1" for row in table)


def test_the_table_is_read_by_any_program(program: Program, ranged: Path) -> None:
    text = (ranged / "entries.csv").read_bytes()
    assert text.startswith(b"index,")
    assert text.count(b"\r\n") == text.count(b"\n") == 21
    table = rows(ranged)
    assert tuple(table[0]) == COLUMNS
    first = json.loads(parse_entry(program.entries()[250]).value)
    assert table[0]["id"] == first["id"]
    assert json.loads(table[0]["data"]) == first["data"]


POSITION = Position("c-1", "valvomo.usage", 0, 7, MONDAY)


@pytest.mark.parametrize(
    ("event", "cells"),
    [
        ({"source": "=SUM(A1)", "id": "+1", "subject": "-x", "time": "@y"}, ["'=SUM(A1)", "'+1", "'-x", "'@y"]),
        ({"source": 'a "b", c', "id": "x\ny\r\u2028", "subject": "", "time": 5},
         ['a "b", c', r"x\u000ay\u000d\u2028", "", "5"]),
        ({"source": "\udce4", "id": None, "subject": ["="], "time": "ä"}, [r"\udce4", "null", '["="]', "ä"]),
        ({}, ["", "", "", ""]),
        ([], ["", "", "", ""]),
    ],
    ids=["formulas", "line ends and quotes", "half a character", "nothing", "a list"],
)  # fmt: skip
def test_no_cell_is_a_formula_or_ends_a_line(event: object, cells: list[str]) -> None:
    row = table_row(5, make_entry(POSITION, json.dumps(event).encode())).decode()
    assert row.endswith("\r\n")
    assert len(row.splitlines()) == 1
    ((index, when, topic, _, *found, data),) = csv.reader([row])
    assert (index, when, topic, found, data) == ("5", "2026-11-16T08:00:00Z", "valvomo.usage", cells, "")


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"[" * 60_000, b"1" * 5_000, b'{"data":1e999}'])
def test_a_table_can_be_made_of_anything(value: bytes) -> None:
    for entry in (value, make_entry(POSITION, value)):
        row = table_row(5, entry)
        assert row.startswith(b"5,")
        assert row.count(b"\n") == 1


# Damage. Each: what is done to the folder, and what is found.


def replaced(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert old in data
        (folder / name).write_bytes(data.replace(old, new, 1))

    return spoil


def line_changed(name: str, at: int, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        lines[at] = change(lines[at])
        (folder / name).write_bytes(b"".join(lines))

    return spoil


def entry_changed(line: bytes) -> bytes:
    index, entry, proof = parse_entry_line(line)
    return entry_line(index, entry.replace(b'"readings":', b'"readings":1', 1), proof)


def proof_changed(line: bytes) -> bytes:
    index, entry, proof = parse_entry_line(line)
    return entry_line(index, entry, [bytes(32), *proof[1:]])


def moved(line: bytes) -> bytes:
    index, entry, proof = parse_entry_line(line)
    return entry_line(index + 30, entry, proof)


def nothing(_: bytes) -> bytes:
    return b""


def twice(line: bytes) -> bytes:
    return line + line


J, C, M = "entries.jsonl", "entries.csv", "manifest.json"
DAMAGE: dict[str, tuple[Callable[[Path], None], list[tuple[str, str, int | None, int | None]]]] = {
    "an entry": (line_changed(J, 4, entry_changed), [("entry", "extract.entry", 254, 254)]),
    "two neighbours": (
        lambda folder: (line_changed(J, 4, entry_changed)(folder), line_changed(J, 5, entry_changed)(folder))[0],
        [("entry", "extract.entry", 254, 255)],
    ),
    "a proof": (line_changed(J, 0, proof_changed), [("entry", "extract.entry", 250, 250)]),
    "a character of base64": (line_changed(J, 4, lambda line: line.replace(b'y":"', b'y":"!')),
                              [("entry", "extract.entry_line", 254, 254)]),
    "another spelling": (line_changed(J, 4, lambda line: line.replace(b",", b", ", 1)),
                         [("entry", "extract.entry_line", 254, 254)]),
    "a member twice": (line_changed(J, 4, lambda line: line.replace(b'"proof"', b'"index":254,"proof"')),
                       [("entry", "extract.entry_line", 254, 254)]),
    "no JSON": (line_changed(J, 4, lambda _: b"x\n"),
                [("entry", "extract.line", None, None), ("manifest", "extract.gap", 254, 254),
                 ("row", "extract.table.extra", 254, 254)]),
    "a line left out": (line_changed(J, 4, nothing),
                        [("manifest", "extract.gap", 254, 254), ("row", "extract.table.extra", 254, 254),
                         ("manifest", "extract.count", None, None)]),
    "the last line left out": (line_changed(J, 19, nothing),
                               [("row", "extract.table.extra", 269, 269), ("manifest", "extract.gap", 269, 269),
                                ("manifest", "extract.count", None, None)]),
    "a line twice": (line_changed(J, 4, twice),
                     [("order", "extract.order", 254, 254), ("row", "extract.table.lacks", 254, 254),
                      ("manifest", "extract.count", None, None)]),
    "a row changed": (line_changed(C, 5, lambda row: row.replace(b"valvomo.usage", b"valvomo.outcomes")),
                      [("row", "extract.table.differs", 254, 254)]),
    "a row left out": (line_changed(C, 5, nothing), [("row", "extract.table.lacks", 254, 254)]),
    "a row twice": (line_changed(C, 5, twice), [("row", "extract.table.extra", 254, 254)]),
    "a row more": (line_changed(C, 20, lambda row: row + b"=cmd()\r\n"),
                   [("row", "extract.table.strange", None, None)]),
    "other columns": (line_changed(C, 0, lambda row: row.upper()), [("row", "extract.table.head", None, None)]),
    "no table": (lambda folder: (folder / C).unlink(), [("missing", "extract.file_missing", None, None)]),
    "no entries": (lambda folder: (folder / J).unlink(), [("missing", "extract.file_missing", None, None)]),
    "a sum": (replaced(M, b'"sha256": "', b'"sha256": "0'), [("manifest", "extract.manifest", None, None)]),
    "a number of lines": (replaced(M, b'"lines": 20', b'"lines": 19'), [("manifest", "extract.sum", None, None)]),
    "a larger range": (replaced(M, b'"last": 269', b'"last": 270'), [("manifest", "extract.gap", 270, 270)]),
    "a smaller range": (replaced(M, b'"last": 269', b'"last": 268'), [("manifest", "extract.beyond", 269, 269)]),
    "a later range": (replaced(M, b'"first": 250', b'"first": 251'), [("order", "extract.order", 250, 250)]),
    "a matter said to be whole": (replaced(M, b'"complete": true', b'"complete": false'),
                                  [("manifest", "extract.manifest", None, None)]),
    "another format": (replaced(M, b"extract.v1", b"extract.v2"), [("manifest", "extract.manifest", None, None)]),
    "a manifest that is none": (line_changed(M, 0, lambda _: b'{"format": [' * 9_000),
                                [("manifest", "extract.manifest", None, None)]),
    "a line of consistency": (line_changed("consistency.jsonl", 1, nothing), [("manifest", "extract.sum", None, None)]),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "expected"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_named(
    program: Program, copied: Path, spoil: Callable[[Path], None], expected: list[object]
) -> None:
    spoil(copied)
    found = verified(program, copied)
    assert damage(found) == expected
    for one in found.damage:
        assert one.sentence
        assert one.first is None or str(one.first) in one.sentence
        assert len({one.told(language) for language in ("fi", "sv", "en")}) == 3


def test_an_entry_under_another_index_is_not_believed(program: Program, copied: Path) -> None:
    line_changed(J, 19, moved)(copied)
    assert ("entry", "extract.entry", 299, 299) in damage(verified(program, copied))


def test_an_entry_left_out_of_a_matter_shows_by_the_count_alone(program: Program, matter: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(matter, tmp_path / "matter")
    line_changed(J, 1, nothing)(folder)
    line_changed(C, 2, nothing)(folder)
    (count, *_) = damage(verified(program, folder))
    assert count[1] == "extract.count"


@pytest.mark.parametrize("end", ["first", "last"])
def test_a_matter_names_its_own_first_and_last_entry(program: Program, matter: Path, tmp_path: Path, end: str) -> None:
    folder = shutil.copytree(matter, tmp_path / "matter")
    said = json.loads((matter / M).read_bytes())[end]
    replaced(M, f'"{end}": {said}'.encode(), f'"{end}": {599 if end == "last" else 0}'.encode())(folder)
    assert damage(verified(program, folder)) == [("manifest", "extract.bounds", None, None)]


def test_no_range_is_empty(program: Program, copied: Path) -> None:
    """Such a manifest would make an extract of nothing good."""
    for name, left in ((J, b""), (C, table_head())):
        before = (copied / name).read_bytes()
        (copied / name).write_bytes(left)
        replaced(M, sha256(before).hexdigest().encode(), sha256(left).hexdigest().encode())(copied)
    for old, new in ((b'"last": 269', b'"last": 249'), (b'"entries": 20', b'"entries": 0'),
                     (b'"lines": 20', b'"lines": 0'), (b'"lines": 21', b'"lines": 1')):  # fmt: skip
        replaced(M, old, new)(copied)
    assert damage(verified(program, copied)) == [("manifest", "extract.bounds", None, None)]


# What was kept


def other(checkpoint: Checkpoint) -> Checkpoint:
    return Checkpoint(checkpoint.origin, checkpoint.size, bytes(32))


def test_what_was_kept_is_held_against_the_extract(program: Program, ranged: Path) -> None:
    signed = parse_checkpoint(parse_note((ranged / "checkpoint").read_bytes()).text)
    manifest, lines = (ranged / "manifest.json").read_bytes(), folder_lines(ranged)
    older = parse_checkpoint(parse_note(notes(program)[1]).text)
    cases = {
        "the same": (signed, []),
        "an older one": (older, []),
        "another root": (other(signed), [("fork", "extract.fork", 0, signed.size - 1)]),
        "an older one with another root": (other(older), [("fork", "extract.fork", 0, older.size - 1)]),
        "a larger one": (
            Checkpoint(signed.origin, signed.size + 5, bytes(32)),
            [("truncated", "extract.truncated", signed.size, signed.size + 4)],
        ),
        "one that the extract leads nowhere": (
            Checkpoint(signed.origin, 123, bytes(32)), [("missing", "extract.no_way", None, None)],
        ),
        "an empty log of another kind": (other(Checkpoint("x", 0, b"")), [("fork", "extract.fork", 0, 0)]),
    }  # fmt: skip
    for name, (kept, expected) in cases.items():
        assert damage(verify_extract(manifest, lines, signed, [("mine", kept)])) == expected, name


def test_a_size_that_was_asked_for_is_led_to(program: Program, tmp_path: Path) -> None:
    with program.service.store.reading() as connection:
        write_range(connection, tmp_path / "out", first=0, last=0, progress=quietly, kept=[123, 100_000])
    sizes = [json.loads(line)["size"] for line in (tmp_path / "out/consistency.jsonl").read_bytes().splitlines()]
    assert 123 in sizes
    assert sizes == sorted(set(sizes))
    assert {parse_checkpoint(parse_note(note).text).size for note in notes(program)[:-1]} <= set(sizes)


def test_postgres_gives_the_same(postgres_url: str, program: Program, matter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var", store=SecretStr(postgres_url), log_origin=ORIGIN)
    other = Program(settings)
    try:
        other.publish(generated("o-1"), reviewed("o-1"), used("o-1"), *(window(number) for number in range(20)))
        other.settle()
        other.sign()
        with other.service.store.reading() as connection:
            found = write_matter(connection, tmp_path / "out", Filter(output="o-1"), progress=quietly)
            assert proof_of(connection, 5)[0] == other.entries()[5]
        assert found.entries == len(rows(matter))
        assert verified(other, tmp_path / "out", *notes(other)).damage == ()
    finally:
        other.close()


# What cannot be written


@pytest.mark.parametrize(("first", "last"), [(0, 10_000), (5, 4), (10_000, None)])
def test_a_range_that_is_not_there_is_refused(program: Program, tmp_path: Path, first: int, last: int | None) -> None:
    with (
        program.service.store.reading() as connection,
        pytest.raises(ConfigurationError, match="expected one within entries 0 to"),
    ):
        write_range(connection, tmp_path / "out", first=first, last=last, progress=quietly)
    assert not (tmp_path / "out").exists()


def test_a_matter_without_entries_writes_nothing(program: Program, tmp_path: Path) -> None:
    with (
        program.service.store.reading() as connection,
        pytest.raises(ConfigurationError, match="found nothing that fits"),
    ):
        write_matter(connection, tmp_path / "out", Filter(output="o-99"), progress=quietly)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_no_checkpoint(program: Program, tmp_path: Path) -> None:
    with (
        program.service.store.reading() as connection,
        pytest.raises(ConfigurationError, match="not whole"),
    ):
        write_range(connection, tmp_path / "out", first=0, last=9, progress=full)
    assert not (tmp_path / "out/checkpoint").exists()


def full(_done: int, _total: int | None) -> None:
    raise OSError(28, "No space left on device")


def test_the_head_of_a_table_names_its_columns() -> None:
    assert table_head() == b"index,ingest_time,topic,type,source,id,subject,time,data\r\n"
