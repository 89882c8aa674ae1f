"""Every kind of damage gets its exit code and its sentence; nothing doubtful gets 0."""

import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog.entry import Position, make_entry
from services.shared.tlog.merkle import leaf_hash, root_of
from services.shared.tlog.note import Signer
from services.verifier.verify import DAMAGED, STALE, UNVERIFIABLE, VERIFIED, Report, Verification, verify
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


def event(name: str, text: str = "", source: str = "here") -> bytes:
    return f'{{"source":"{source}","id":"{name}","text":"{text}"}}'.encode()


def placed(offset: int, value: bytes, *, seconds: int = 0, partition: int = 0) -> bytes:
    return make_entry(Position("c-1", "t", partition, offset, START + timedelta(seconds=seconds)), value)


@pytest.mark.parametrize(
    ("entries", "kind", "first", "sentence"),
    [
        pytest.param(
            [placed(0, event("a")), placed(1, event("a"))],
            "duplicate", 1, "entry 1: the same event, byte for byte, is in the log already, as entry 0",
            id="one event twice",
        ),
        pytest.param(
            [placed(0, event("a")), placed(1, event("a", "other")), placed(2, event("a", "other"))],
            "duplicate", 2, "as entry 1", id="a contradiction twice",
        ),
        pytest.param(
            [placed(7, event("a")), placed(7, event("b"))],
            "order", 1, "the same place on the bus was used by an earlier entry (t, 0)", id="one place twice",
        ),
        pytest.param(
            [placed(7, event("a")), placed(5, event("b")), placed(7, event("c")), placed(8, event("d"))],
            "order", 2, "the same place on the bus", id="a place used again later",
        ),
        pytest.param(
            [placed(0, event("a"), seconds=60), placed(1, event("b"), seconds=59)],
            "order", 1, "a clock was set back", id="the clock set back",
        ),
        pytest.param(
            [placed(0, b"no JSON")], "order", 0, "is no event; expected JSON with a source and an id", id="no JSON",
        ),
        pytest.param([placed(0, b'{"source":"a"}')], "order", 0, "is no event", id="an event without an id"),
        pytest.param([placed(0, b'{"source":1,"id":"b"}')], "order", 0, "is no event", id="a source that is no text"),
        pytest.param([placed(0, b'{"source":"a","id":"b","x":NaN}')], "order", 0, "is no event", id="NaN"),
        pytest.param([placed(0, b'["a"]')], "order", 0, "is no event", id="a list"),
        pytest.param([placed(0, b"[" * 60_000)], "order", 0, "is no event", id="nested without end"),
        pytest.param([placed(0, event("a") + b"{}")], "order", 0, "is no event", id="two events in one entry"),
        pytest.param([placed(0, b'\xff{"source":"a","id":"b"}')], "order", 0, "is no event", id="not UTF-8"),
    ],
)  # fmt: skip
def test_what_was_signed_but_should_not_have_been(entries: list[bytes], kind: str, first: int, sentence: str) -> None:
    report = check(export(entries))
    assert report.exit == DAMAGED
    (found,) = [one for one in report.damage if one.first == first]
    assert found.kind == kind
    assert sentence in found.sentence


def test_other_words_under_one_name_are_a_contradiction_and_no_damage() -> None:
    report = check(export([placed(0, event("a")), placed(1, event("b")), placed(2, event("a", "other"))]))
    assert (report.exit, [(one.kind, one.first) for one in report.notices]) == (VERIFIED, [("contradiction", 2)])
    assert check(export([placed(0, event("a")), placed(1, event("a", source="there"))])).notices == ()


def test_white_space_around_an_event_is_allowed() -> None:
    assert check(export([placed(0, b" " + event("a") + b"\n")])).exit == VERIFIED


PRUNING = b'{"source":"log","id":"p","type":"valvomo.log.pruned.v1","data":{"first":%d,"last":%d,%s}}'
EXPORTED = b'"export_size":%d,"export_root":"%s"'


def exported(entries: Sequence[bytes]) -> bytes:
    return EXPORTED % (len(entries), root_of([leaf_hash(one) for one in entries]).hex().encode())


def pruned(first: int, last: int, bundles: list[str], export_of: bytes = exported(ENTRIES)) -> Files:  # bytes
    files = export([*ENTRIES, placed(0, PRUNING % (first, last, export_of))])
    for path in bundles:
        del files[path]
    return files


def test_pruned_entries_are_a_notice() -> None:
    report = check(pruned(0, 511, ["tile/entries/000", "tile/entries/001"]), {"older": checkpoint(ENTRIES[:300])})
    assert report.exit == VERIFIED
    assert [one.sentence.partition(";")[0] for one in report.notices] == ["entries 0 to 511: pruned, as entry 700 says"]


@pytest.mark.parametrize(
    ("files", "kind", "first", "last"),
    [
        pytest.param(
            pruned(0, 255, ["tile/entries/000", "tile/entries/001"]), "missing", 256, 511, id="more gone than was said"
        ),
        pytest.param(pruned(0, 254, ["tile/entries/000"]), "missing", 0, 255, id="not all of a bundle"),
        pytest.param(
            pruned(0, 511, ["tile/entries/000"], exported(ENTRIES[1:])), "missing", 0, 255, id="what another log pruned"
        ),
        pytest.param(
            pruned(0, 511, ["tile/entries/000"], EXPORTED % (10**9, b"00" * 32)), "missing", 0, 255,
            id="what a longer log pruned",
        ),
        pytest.param(pruned(0, 700, ["tile/entries/000"]), "missing", 0, 255, id="a pruning that names itself"),
        pytest.param(pruned(0, 511, ["tile/entries/000", "tile/0/000"]), "missing", 0, 255, id="its hashes gone too"),
        pytest.param(
            pruned(0, 511, ["tile/entries/000"]) | {"tile/0/000": GOOD["tile/0/001"]}, "tile", 0, 255,
            id="its hashes altered",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_without_a_pruning_that_says_so(files: Files, kind: str, first: int, last: int) -> None:
    report = check(files)
    assert report.exit in (DAMAGED, UNVERIFIABLE)
    assert (kind, first, last) in [(one.kind, one.first, one.last) for one in report.damage]


@pytest.mark.parametrize(("first", "last"), [(0, 700), (0, 2**62), (5, 4), (-1, 3)])
def test_a_pruning_that_cannot_be_excuses_nothing(first: int, last: int) -> None:
    """Neither here nor where the rows of a database are compared."""
    verification = Verification(pruned(first, last, []).get, [SIGNER.key])
    assert verification.begin([], [])
    verification.walk(lambda: pruned(first, last, []).get, 1, lambda _: None)
    assert verification.pruned == []


def test_faults_in_several_places_are_each_told_where_they_are() -> None:
    files = dict(GOOD)
    flip_body(files)
    files["tile/0/000"] = flipped(files["tile/0/000"], 32 * 9)
    files["tile/entries/002.p/188"] = flipped(files["tile/entries/002.p/188"], 9_000)
    report = check(files)
    told = [(one.kind, one.first == one.last) for one in report.damage]
    assert told == [("entry", True), ("entry", True), ("tile", True)]
    assert {300, 9} < {one.first for one in report.damage}


def test_two_bodies_and_a_hash_of_one_bundle() -> None:
    files = dict(GOOD)
    flip_body(files)
    files["tile/0/001"] = flipped(files["tile/0/001"], 32 * 50)
    found = {(one.kind, one.first) for one in check(files).damage}
    assert found == {("entry", 300), ("tile", 306)}


def test_a_bundle_and_its_hashes_replaced_together() -> None:
    other = [*ENTRIES[:300], entry(300, "x"), *ENTRIES[301:]]
    files = dict(GOOD)
    files.update({path: export(other)[path] for path in ("tile/entries/001", "tile/0/001")})
    (found,) = check(files).damage
    assert (found.kind, found.first, found.last) == ("entry", 256, 511)
    assert "altered together with their hashes" in found.sentence


def test_an_older_checkpoint_says_up_to_where_the_entries_are_good() -> None:
    files = export([*ENTRIES[:300], entry(300, "x"), *ENTRIES[301:]]) | {"checkpoint": GOOD["checkpoint"]}
    notes = {f"checkpoints/{size:012d}": checkpoint(ENTRIES[:size]) for size in (100, 290, 400)}
    (found,) = check(files, notes).damage
    assert (found.kind, found.first, found.last) == ("root", 290, 699)


def test_duplicated_and_truncated_tiles() -> None:
    files = dict(GOOD) | {"tile/entries/001": GOOD["tile/entries/000"]}
    assert [(one.kind, one.first, one.last) for one in check(files).damage if one.kind == "entry"] == [
        ("entry", 256, 511)
    ]
    files = dict(GOOD) | {"tile/1/000.p/2": GOOD["tile/1/000.p/2"][:40]}
    assert [(one.kind, one.first, one.last) for one in check(files).damage] == [("tile", 0, 511)]


def test_a_log_that_has_grown_serves_full_tiles_where_partial_ones_were() -> None:
    files = export([entry(index) for index in range(768)]) | {"checkpoint": checkpoint(ENTRIES)}
    files["tile/1/000.p/2"] = files.pop("tile/1/000.p/3")[:64]
    assert check(files).exit == VERIFIED


def test_a_damaged_newest_checkpoint_hides_nothing() -> None:
    files = dict(GOOD) | {"checkpoint": GOOD["checkpoint"].replace(b"\n700\n", b"\n701\n")}
    flip_body(files)
    report = check(files, {"checkpoints/000000000700": GOOD["checkpoint"]})
    assert {(one.kind, one.first) for one in report.damage} == {("checkpoint", None), ("entry", 300)}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param(lambda note: note.replace(b"=\n\n", b"\n\n"), "checkpoint", id="base64 without its padding"),
        pytest.param(lambda note: note.replace(b"\n\n", b"\n\n\n"), "checkpoint", id="an empty line more"),
        pytest.param(lambda note: note + b"\n", "checkpoint", id="an empty line at the end"),
        pytest.param(lambda note: note.replace(b"\n700", b"\n0700"), "checkpoint", id="a size of two spellings"),
        pytest.param(lambda note: note.replace(b"\n", b"\r\n"), "checkpoint", id="line ends of Windows"),
        pytest.param(lambda note: b"", "checkpoint", id="empty"),
    ],
)
def test_a_checkpoint_that_is_not_written_the_one_way(change: Callable[[bytes], bytes], kind: str) -> None:
    report = check(dict(GOOD) | {"checkpoint": change(GOOD["checkpoint"])})
    assert (report.exit, report.damage[0].kind) == (DAMAGED, kind)


def test_a_good_signature_over_another_origin_is_refused() -> None:
    text = GOOD["checkpoint"].decode().split("\n\n")[0].replace("log.example/audit", "log.example/other") + "\n"
    report = check(dict(GOOD) | {"checkpoint": SIGNER.sign(text)})
    assert (report.exit, "origin is not the name" in report.damage[0].sentence) == (DAMAGED, True)


def test_checkpoints_of_several_keys_after_a_rotation() -> None:
    both = (SIGNER.key, OTHER.key)
    notes = [("checkpoints/000000000400", checkpoint(ENTRIES[:400], OTHER))]
    assert verify(GOOD.get, notes, both, now=NOW).exit == VERIFIED
    assert verify(GOOD.get, notes, [SIGNER.key], now=NOW).exit == UNVERIFIABLE
    forked = [("checkpoints/000000000400", checkpoint(ENTRIES[1:401], OTHER))]
    assert verify(GOOD.get, forked, both, now=NOW).damage[0].kind == "fork"


def test_two_logs_under_one_origin() -> None:
    """Both are good alone; who kept a checkpoint of one is told about the other."""
    other = [entry(index, "other") for index in range(SIZE)]
    assert check(export(other)).exit == VERIFIED
    report = check(export(other), {"kept": GOOD["checkpoint"]})
    assert (report.exit, report.damage[0].kind) == (DAMAGED, "fork")


def test_a_kept_checkpoint_that_the_export_no_longer_lists_is_a_notice() -> None:
    notes = [("checkpoints/000000000300", checkpoint(ENTRIES[:300]))]
    kept = [("mine", checkpoint(ENTRIES[:200])), ("other", checkpoint(ENTRIES[:300])), ("tip", GOOD["checkpoint"])]
    report = verify(GOOD.get, notes, SIGNER.key, now=NOW, kept=kept)
    assert (report.exit, [one.values["note"] for one in report.notices]) == (VERIFIED, ["mine"])


def test_a_checkpoint_under_the_number_of_another() -> None:
    report = check(GOOD, {"checkpoints/000000000300": checkpoint(ENTRIES[:200])})
    assert (report.exit, report.damage[0].kind) == (DAMAGED, "checkpoint")


def test_a_log_from_the_future_has_no_age() -> None:
    early = verify(GOOD.get, [], SIGNER.key, now=START - timedelta(days=2), max_age=timedelta(days=1))
    assert (early.exit, "one of the clocks is wrong" in early.damage[0].sentence) == (STALE, True)


def test_several_processes_find_what_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.verifier.jobs._WORTH_IT", 1)
    files = dict(GOOD)
    flip_body(files)
    flip_upper_tile(files)
    lose("tile/entries/000")(files)
    one, two = (verify(files.get, [], SIGNER.key, now=NOW, reopen=lambda: files.get, jobs=jobs) for jobs in (1, 2))
    assert one == two
    assert len(one.damage) == 3


def test_a_process_that_is_ended_from_outside_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a machine that is short of memory does to the largest."""
    monkeypatch.setattr("services.verifier.jobs._WORTH_IT", 1)
    monkeypatch.setattr("services.verifier.jobs._BUNDLES_AT_ONCE", 1)
    files, ours = dict(GOOD), os.getpid()
    flip_body(files)

    def read(path: str) -> bytes | None:
        if path.startswith("tile/entries/001") and os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        return files.get(path)

    report = verify(read, [], SIGNER.key, now=NOW, reopen=lambda: read, jobs=2)
    assert report == check(files)
    assert report.exit == DAMAGED


def test_damage_that_is_too_much_for_a_list_is_told_as_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.verifier.runs._MOST", 5)
    files = dict(GOOD)
    for index in range(0, 500, 2):
        path, place = f"tile/0/{index // 256:03d}", 32 * (index % 256)
        files[path] = flipped(files[path], place)
    told = [(one.first, one.last) for one in check(files).damage]
    assert set(told) == {(0, 0), (2, 2), (4, 4), (6, 6), (8, 8), (10, 498)}


def test_an_empty_log_has_no_age() -> None:
    """A signed nothing must not pass for the present state of a log."""
    report = check(export([]), days=35)
    assert (report.exit, [one.name for one in report.damage]) == (STALE, ["stale.empty"])
    assert check(export([])).exit == VERIFIED


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
