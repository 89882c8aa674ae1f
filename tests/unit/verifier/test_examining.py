"""Single proofs, witnesses' confirmations, and what the auditor brings."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from services.shared.tlog.cosignature import Cosigner
from services.shared.tlog.merkle import leaf_hash
from services.shared.tlog.note import Signer
from services.shared.tlog.policy import Policy, parse_policy
from services.shared.tlog.proof import make_proof
from services.shared.tlog.tiles import Frontier, node_reader, split_hashes
from services.verifier.bar import Bar
from services.verifier.damage import DAMAGED, STALE, UNVERIFIABLE, VERIFIED, Report
from services.verifier.examining import Asked, examine
from services.verifier.inputs import InputError, read_kept, read_keys, read_policy
from tests.unit.verifier.exports import SIGNER, START, checkpoint, entry, export

ENTRIES = [entry(index) for index in range(300)]
FILES = export(ENTRIES)
NOW = START + timedelta(hours=1)
AT = int(START.timestamp())
TEXT = FILES["checkpoint"].decode().split("\n\n")[0] + "\n"
FIRST, SECOND = (Cosigner(f"witness.example/{name}", bytes(range(at, at + 32))) for name, at in (("a", 40), ("b", 80)))
POLICY = parse_policy(f"witness a {FIRST.key}\nwitness b {SECOND.key}\ngroup both all a b\nquorum both\n".encode())
Edit = Callable[[Path], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "export", FILES)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def asked(policy: Policy | None = None, age: timedelta | None = None, **kept: bytes) -> Asked:
    return Asked([SIGNER.key], list(kept.items()), policy, age, NOW)


def examined(path: Path, policy: Policy | None = None, age: timedelta | None = None, **kept: bytes) -> Report:
    return examine(path, asked(policy, age, **kept), Bar())[0]


def line(cosigner: Cosigner, at: int = AT) -> bytes:
    return cosigner.cosign(TEXT, at)


def receipts(*lines: bytes, size: int = 300) -> dict[str, bytes]:
    return {f"anchors/w{number}/{size:012d}.receipt": data for number, data in enumerate(lines)}


@pytest.mark.parametrize(
    ("files", "code", "kinds"),
    [
        pytest.param(receipts(line(FIRST), line(SECOND)), VERIFIED, [], id="both in receipts"),
        pytest.param(
            {"checkpoint": FILES["checkpoint"] + line(FIRST)} | receipts(line(SECOND)), VERIFIED, [],
            id="one in the checkpoint, one in a receipt",
        ),
        pytest.param(
            {"checkpoint": FILES["checkpoint"] + line(FIRST)} | receipts(line(FIRST), line(SECOND)), VERIFIED, [],
            id="one of them twice",
        ),
        pytest.param(receipts(line(FIRST)), STALE, ["stale"], id="one is not enough"),
        pytest.param({}, STALE, ["stale"], id="none"),
        pytest.param(
            receipts(line(FIRST), line(SECOND)[:-9] + b"A" * 7 + b"=\n"),
            DAMAGED, ["anchor", "stale"], id="a bit of a receipt",
        ),
        pytest.param(
            receipts(line(FIRST), line(SECOND), size=299), DAMAGED, ["anchor"] * 2 + ["stale"], id="no such size",
        ),
        pytest.param(receipts(line(FIRST, AT + 1), line(FIRST)), STALE, ["stale"], id="the same witness twice"),
    ],
)  # fmt: skip
def test_what_witnesses_confirm(folder: Path, files: dict[str, bytes], code: int, kinds: list[str]) -> None:
    report = examined(write(folder, files), POLICY)
    assert (report.exit, sorted(one.kind for one in report.damage)) == (code, kinds), report.damage


def test_an_old_confirmation_is_stale(folder: Path) -> None:
    write(folder, receipts(line(FIRST, AT - 90_000), line(SECOND, AT - 90_000)))
    assert examined(folder, POLICY, timedelta(days=2)).exit == VERIFIED
    (found,) = examined(folder, POLICY, timedelta(days=1)).damage
    assert (found.kind, found.name) == ("stale", "stale.cosigned")


def test_a_time_far_ahead_can_be_told_and_has_no_age(folder: Path) -> None:
    write(folder, receipts(line(FIRST, 2**62), line(SECOND, 2**62)))
    assert "9999-12-31" in next(one.sentence for one in examined(folder, POLICY).notices if one.kind == "cosigned")
    (found,) = examined(folder, POLICY, timedelta(days=2)).damage
    assert (found.kind, found.name) == ("stale", "stale.cosigned_ahead")


def test_a_witness_that_does_not_count_makes_nothing_newer(folder: Path) -> None:
    one = parse_policy(f"witness a {FIRST.key}\nwitness b {SECOND.key}\nquorum a\n".encode())
    write(folder, receipts(line(FIRST, AT - 90_000), line(SECOND)))
    for policy in (one, POLICY):
        assert [found.name for found in examined(folder, policy, timedelta(days=1)).damage] == ["stale.cosigned"]


def test_a_new_confirmation_of_fewer_entries_makes_the_others_no_newer(folder: Path) -> None:
    either = parse_policy(f"witness a {FIRST.key}\nwitness b {SECOND.key}\ngroup g any a b\nquorum g\n".encode())
    older = checkpoint(ENTRIES[:200])
    fewer = SECOND.cosign(older.decode().split("\n\n")[0] + "\n", AT)
    write(folder, {"checkpoints/000000000200": older + fewer} | receipts(line(FIRST, AT - 90_000)))
    assert [found.name for found in examined(folder, either, timedelta(days=1)).damage] == ["stale.cosigned"]


def test_a_cosignature_confirms_no_other_log(folder: Path) -> None:
    """Witnesses confirmed what was there before it was rewritten: the rewritten log is not what they saw."""
    other = export([*ENTRIES[:7], entry(7, "x"), *ENTRIES[8:]])
    write(folder, other | receipts(line(FIRST), line(SECOND)))
    report = examined(folder, POLICY)
    assert (report.exit, {one.kind for one in report.damage}) == (DAMAGED, {"anchor", "stale"})
    write(folder, {"checkpoints/000000000300": FILES["checkpoint"]})
    report = examined(folder, POLICY)
    assert "fork" in {one.kind for one in report.damage}
    assert "cosigned" not in {one.kind for one in report.notices}


def test_receipts_without_a_policy_are_only_counted(folder: Path) -> None:
    report = examined(write(folder, receipts(line(FIRST), b"\x30\x82time stamp")))
    assert (report.exit, [one.kind for one in report.notices]) == (VERIFIED, ["receipts"])
    assert "2 receipts" in report.notices[0].sentence


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    frontier = Frontier()
    full = {(tile.level, tile.number): split_hashes(data) for tile, data in frontier.append(map(leaf_hash, ENTRIES))}

    def tile(level: int, number: int) -> list[bytes]:
        return list(full.get((level, number), frontier.edge(level)))

    made = tmp_path / "299.tlog-proof"
    made.write_bytes(make_proof(299, FILES["checkpoint"], node_reader(tile)).encode())
    made.with_name("299.entry").write_bytes(ENTRIES[299])
    return made


def test_a_proof_verifies(proof: Path) -> None:
    report, shown = examine(proof, asked(same=checkpoint(ENTRIES)), Bar())
    assert (report.exit, report.size, report.damage) == (VERIFIED, 300, ())
    assert (shown.extract, shown.entries, shown.kept) == (True, 1, 300)
    assert report.notices[0].sentence == "entry 299: this proof is about it, in a log of 300 entries"


def spoil(name: str) -> Edit:
    def damage(proof: Path) -> None:
        path = proof.with_name(name)
        data = path.read_bytes()
        path.write_bytes(data[:30] + (b"A" if data[30:31] != b"A" else b"B") + data[31:])

    return damage


@pytest.mark.parametrize(
    ("damage", "kept", "code", "kind"),
    [
        pytest.param(spoil("299.entry"), {}, DAMAGED, "entry", id="a byte of the entry"),
        pytest.param(spoil("299.tlog-proof"), {}, DAMAGED, "entry", id="a byte of the proof"),
        pytest.param(lambda proof: proof.with_name("299.entry").unlink(), {}, UNVERIFIABLE, "missing", id="no entry"),
        pytest.param(lambda proof: proof.write_bytes(b""), {}, DAMAGED, "entry", id="an empty proof"),
        pytest.param(
            lambda proof: None, {"mine": checkpoint([*ENTRIES[:299], entry(299, "x")])}, DAMAGED, "fork",
            id="another tree of that size was kept",
        ),
        pytest.param(
            lambda proof: None, {"mine": checkpoint(ENTRIES, Signer("log.example/audit", bytes(range(1, 33))))},
            UNVERIFIABLE, "unknown_key", id="a kept checkpoint of another key",
        ),
        pytest.param(
            lambda proof: None, {"mine": checkpoint([*ENTRIES[:99], entry(99, "x")])}, UNVERIFIABLE, "missing",
            id="nothing ties it to a smaller tree that was kept",
        ),
        pytest.param(
            lambda proof: None, {"mine": checkpoint([*ENTRIES, entry(300)])}, UNVERIFIABLE, "missing",
            id="nothing ties it to a larger tree that was kept",
        ),
        pytest.param(
            lambda proof: None, {"mine": FILES["checkpoint"].replace(b"\n", b"\r\n")}, UNVERIFIABLE, "unreadable",
            id="the auditor's own file was damaged, not the log",
        ),
    ],
)  # fmt: skip
def test_a_proof_that_does_not_hold(proof: Path, damage: Edit, kept: dict[str, bytes], code: int, kind: str) -> None:
    damage(proof)
    report = examined(proof, None, None, **kept)
    assert (report.exit, report.damage[0].kind) == (code, kind)


def test_a_kept_checkpoint_of_another_log_is_told_and_not_compared(proof: Path) -> None:
    """Its key is trusted, since an auditor has several logs."""
    other = Signer("log.example/other", bytes(range(9, 41)))
    brought = Asked([SIGNER.key, other.key], [("mine", checkpoint(ENTRIES, other))], None, None, NOW)
    report, shown = examine(proof, brought, Bar())
    assert (report.exit, [one.name for one in report.damage]) == (UNVERIFIABLE, ["checkpoint.other_log"])
    assert shown.kept is None


def test_a_manifest_does_not_make_a_whole_export_an_extract(folder: Path) -> None:
    """Else a file more would hide every entry."""
    write(folder, {"manifest.json": b"{}"})
    report = examined(folder)
    assert (report.exit, report.size) == (VERIFIED, 300)
    assert [one.values["path"] for one in report.notices] == ["manifest.json"]


@pytest.mark.parametrize("path", ["checkpoints/000000000200", "anchors/w/000000000300.receipt"])
@pytest.mark.parametrize("unread", [Path.mkdir, lambda path: path.symlink_to("nowhere")], ids=["a folder", "a link"])
def test_papers_that_cannot_be_read_are_doubt(folder: Path, path: str, unread: Edit) -> None:
    (folder / path).parent.mkdir(parents=True)
    unread(folder / path)
    report = examined(folder)
    assert (report.exit, [(one.name, one.values["path"]) for one in report.damage]) == (
        UNVERIFIABLE,
        [("unread", path)],
    )


def test_a_file_in_place_of_the_folder_of_checkpoints_is_doubt(folder: Path) -> None:
    (folder / "checkpoints").write_bytes(b"")
    assert examined(folder).exit == UNVERIFIABLE


def test_what_a_file_manager_leaves_is_no_damage(folder: Path) -> None:
    write(folder, {"checkpoints/.DS_Store": b"\0", "checkpoints/._000000000300": b"\0", "tile/0/._000": b"\0"})
    report = examined(folder)
    assert (report.exit, report.damage) == (VERIFIED, ())
    assert "3 files are no part of the log" in report.notices[0].sentence


def test_an_extract_without_its_checkpoint_cannot_be_verified(tmp_path: Path) -> None:
    report = examined(write(tmp_path / "extract", {"manifest.json": b"{}"}))
    assert (report.exit, report.damage[0].name) == (UNVERIFIABLE, "missing.checkpoint")
    report = examined(write(tmp_path / "extract", {"checkpoint": FILES["checkpoint"]}))
    assert (report.exit, report.damage[0].kind) == (DAMAGED, "manifest")


def test_what_the_auditor_brings_must_not_come_from_the_evidence(folder: Path, tmp_path: Path) -> None:
    (folder / "mine").write_text(str(SIGNER.key))
    for read in (
        lambda: read_keys([str(folder / "mine")], None, folder),
        lambda: list(read_kept([folder / "checkpoint"], folder)),
        lambda: read_policy(folder / "mine", folder),
    ):
        with pytest.raises(InputError, match="inside the export"):
            read()
    (tmp_path / "policy").write_text(f"log {SIGNER.key}\nquorum none\n")
    policy = read_policy(tmp_path / "policy", folder)
    assert read_keys([], policy, folder) == [SIGNER.key]
    (tmp_path / "policy").write_text("quorum nobody\n")
    with pytest.raises(InputError, match="cannot be used"):
        read_policy(tmp_path / "policy", folder)
