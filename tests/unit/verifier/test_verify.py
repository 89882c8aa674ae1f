"""Every kind of damage gets its exit code and its sentence; nothing doubtful gets 0."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog.note import Signer
from services.verifier.verify import DAMAGED, STALE, UNVERIFIABLE, VERIFIED, Report, verify
from tests.unit.verifier.exports import SIGNER, START, checkpoint, entry, export

SIZE = 700
ENTRIES = [entry(index) for index in range(SIZE)]
GOOD = export(ENTRIES)
NOW = START + timedelta(days=1)
OTHER = Signer("log.example/audit", bytes(range(1, 33)))
Files = dict[str, bytes]


def check(
    files: Files, notes: dict[str, bytes] | None = None, signer: Signer = SIGNER, days: int | None = None
) -> Report:
    age = None if days is None else timedelta(days=days)
    return verify(files.get, list((notes or {}).items()), signer.key, now=NOW, max_age=age)


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700])
def test_a_good_export_verifies(size: int) -> None:
    report = check(
        export(ENTRIES[:size]), {"older": checkpoint(ENTRIES[: size // 2]), "same": checkpoint(ENTRIES[:size])}
    )
    assert (report.exit, report.size, report.damage) == (VERIFIED, size, ())


def flip_body(files: Files) -> None:
    at = files["tile/entries/001"].index(b'"id":"300"')
    files["tile/entries/001"] = flipped(files["tile/entries/001"], at + 6)


def flip_length(files: Files) -> None:
    at = files["tile/entries/001"].index(b'"id":"300"') + len(b'"id":"300"}')
    files["tile/entries/001"] = flipped(files["tile/entries/001"], at + 1)


def flip_leaf_tile(files: Files) -> None:
    files["tile/0/001"] = flipped(files["tile/0/001"], 32 * 44)


def flip_both(files: Files) -> None:
    flip_body(files)
    flip_leaf_tile(files)


def flip_upper_tile(files: Files) -> None:
    files["tile/1/000.p/2"] = flipped(files["tile/1/000.p/2"], 32)


def flip_root(files: Files) -> None:
    files["checkpoint"] = files["checkpoint"].replace(b"\n700\n", b"\n701\n")


def swap_entries(files: Files) -> None:
    files.update(
        export([*ENTRIES[:300], ENTRIES[301], ENTRIES[300], *ENTRIES[302:]]) | {"checkpoint": GOOD["checkpoint"]}
    )


def swap_bundles(files: Files) -> None:
    files["tile/entries/000"], files["tile/entries/001"] = files["tile/entries/001"], files["tile/entries/000"]


def remove_entry(files: Files) -> None:
    files.update(export([*ENTRIES[:300], *ENTRIES[301:], entry(700)]) | {"checkpoint": GOOD["checkpoint"]})


def cut_bundle(files: Files) -> None:
    files["tile/entries/002.p/188"] = files["tile/entries/002.p/188"][:-5]


def lengthen_bundle(files: Files) -> None:
    files["tile/entries/002.p/188"] += b"\x00"


def cut_tile(files: Files) -> None:
    files["tile/0/002.p/188"] = files["tile/0/002.p/188"][:-32]


def lose(path: str) -> Callable[[Files], None]:
    def damage(files: Files) -> None:
        del files[path]

    return damage


def rewrite_checkpoint(signer: Signer) -> Callable[[Files], None]:
    def damage(files: Files) -> None:
        files["checkpoint"] = checkpoint(ENTRIES, signer)

    return damage


@pytest.mark.parametrize(
    ("damage", "code", "kind", "first", "last"),
    [
        pytest.param(flip_body, DAMAGED, "entry", 300, 300, id="a bit of an entry"),
        pytest.param(flip_length, DAMAGED, "entry", 301, 511, id="a bit of an entry's length"),
        pytest.param(flip_leaf_tile, DAMAGED, "tile", 300, 300, id="a bit of a leaf hash"),
        pytest.param(flip_both, DAMAGED, "entry", 300, 300, id="a bit of an entry and of its leaf hash"),
        pytest.param(flip_upper_tile, DAMAGED, "tile", 0, 511, id="a bit of an upper tile"),
        pytest.param(flip_root, DAMAGED, "checkpoint", None, None, id="the checkpoint's size"),
        pytest.param(swap_entries, DAMAGED, "root", 0, 699, id="two entries swapped in bundle and tile"),
        pytest.param(swap_bundles, DAMAGED, "entry", 0, 511, id="two bundles swapped"),
        pytest.param(remove_entry, DAMAGED, "root", 0, 699, id="an entry left out and the gap closed"),
        pytest.param(cut_bundle, DAMAGED, "entry", 699, 699, id="a bundle cut"),
        pytest.param(lengthen_bundle, DAMAGED, "entry", 699, 699, id="a bundle with a byte more"),
        pytest.param(cut_tile, DAMAGED, "tile", 512, 699, id="a tile cut"),
        pytest.param(lose("tile/entries/001"), UNVERIFIABLE, "missing", 256, 511, id="a bundle missing"),
        pytest.param(lose("tile/0/001"), UNVERIFIABLE, "missing", 256, 511, id="a tile missing"),
        pytest.param(lose("tile/1/000.p/2"), UNVERIFIABLE, "missing", 0, 511, id="an upper tile missing"),
        pytest.param(lose("checkpoint"), UNVERIFIABLE, "missing", None, None, id="the checkpoint missing"),
        pytest.param(rewrite_checkpoint(OTHER), UNVERIFIABLE, "unknown_key", None, None, id="signed by another key"),
        pytest.param(
            rewrite_checkpoint(Signer("log.example/other", bytes(range(32)))),
            UNVERIFIABLE, "unknown_key", None, None, id="of another origin",
        ),
    ],
)  # fmt: skip
def test_damage_is_found_and_named(
    damage: Callable[[Files], None], code: int, kind: str, first: int | None, last: int | None
) -> None:
    files = dict(GOOD)
    damage(files)
    report = check(files)
    assert report.exit == code
    assert (kind, first, last) in [(found.kind, found.first, found.last) for found in report.damage]
    if first is not None:
        assert any(str(first) in found.sentence or found.kind == "root" for found in report.damage)


def test_one_flipped_entry_is_the_only_thing_reported() -> None:
    files = dict(GOOD)
    flip_body(files)
    assert [found.sentence for found in check(files).damage] == ["entry 300: its bytes are not those that were signed"]


def test_all_damage_is_listed() -> None:
    files = dict(GOOD)
    flip_upper_tile(files)
    cut_bundle(files)
    lose("tile/entries/000")(files)
    report = check(files)
    assert report.exit == DAMAGED
    assert {found.kind for found in report.damage} == {"tile", "entry", "missing"}


def test_a_missing_bundle_and_tile_leave_the_rest_readable() -> None:
    files = dict(GOOD)
    lose("tile/entries/000")(files)
    lose("tile/0/000")(files)
    flip_body(files)
    report = check(files)
    assert report.exit == DAMAGED
    assert ("entry", 300) in [(found.kind, found.first) for found in report.damage]


def test_a_cut_off_tail_shows_only_to_who_remembers() -> None:
    shorter = export(ENTRIES[:600])
    assert check(shorter).exit == VERIFIED
    report = check(shorter, {"kept.txt": GOOD["checkpoint"]})
    assert report.exit == DAMAGED
    assert [(found.kind, found.first, found.last) for found in report.damage] == [("truncated", 600, 699)]
    assert "kept.txt" in report.damage[0].sentence


def test_a_rewritten_and_signed_again_log_shows_only_to_who_remembers() -> None:
    rewritten = export([*ENTRIES[:300], entry(300, "x"), *ENTRIES[301:]])
    assert check(rewritten).exit == VERIFIED
    for kept in (checkpoint(ENTRIES[:400]), GOOD["checkpoint"]):
        report = check(rewritten, {"kept.txt": kept})
        assert (report.exit, report.damage[0].kind) == (DAMAGED, "fork")
    assert check(rewritten, {"kept.txt": checkpoint(ENTRIES[:300])}).exit == VERIFIED


def test_a_fork_is_found_also_when_an_entry_is_damaged() -> None:
    files = export([*ENTRIES[:300], entry(300, "x"), *ENTRIES[301:]])
    files["tile/entries/000"] = flipped(files["tile/entries/000"], 150)
    report = check(files, {"kept.txt": checkpoint(ENTRIES[:400])})
    assert {"fork", "entry"} <= {found.kind for found in report.damage}


def test_a_kept_checkpoint_of_another_key_is_not_passed_over() -> None:
    report = check(GOOD, {"kept.txt": checkpoint(ENTRIES[:400], OTHER)})
    assert (report.exit, report.damage[0].kind) == (UNVERIFIABLE, "unknown_key")


def test_an_entry_that_was_signed_but_is_no_entry() -> None:
    report = check(export([*ENTRIES[:5], b'{"v":2}\n{}']))
    assert (report.exit, report.damage[0].kind, report.damage[0].first) == (DAMAGED, "order", 5)


def test_entries_that_were_signed_in_another_order_than_the_bus_had() -> None:
    report = check(export([ENTRIES[3], ENTRIES[0]]))
    assert (report.exit, report.damage[0].kind, report.damage[0].first) == (DAMAGED, "order", 1)


def test_an_old_export_is_stale() -> None:
    assert check(GOOD, days=2).exit == VERIFIED
    assert check(GOOD, days=0).exit == STALE
    files = dict(GOOD)
    flip_body(files)
    assert check(files, days=0).exit == DAMAGED


def test_progress_is_told() -> None:
    told: list[int] = []
    verify(GOOD.get, [], SIGNER.key, now=NOW, progress=told.append)
    assert told == [256, 512, 700]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.integers(0, 10**7))
def test_no_flipped_bit_anywhere_verifies(path: str, position: int) -> None:
    at, bit = divmod(position % (8 * len(GOOD[path])), 8)
    report = check({**GOOD, path: flipped(GOOD[path], at, bit)})
    assert report.exit in (DAMAGED, UNVERIFIABLE)
    assert report.exit == DAMAGED or path == "checkpoint", "only a changed key name or id can look like another key"
