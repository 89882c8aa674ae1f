"""The anchors one by one, against real servers and folders: what they take, and what they refuse."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificates

from services.audit_log.adapters.anchors import timestamp as timestamp_module
from services.audit_log.adapters.anchors.folder import FolderAnchor, new_tiles
from services.audit_log.adapters.anchors.mail import MailAnchor
from services.audit_log.adapters.anchors.posting import MAX_ANSWER_BYTES, post
from services.audit_log.adapters.anchors.timestamp import TimestampAnchor, read_roots
from services.audit_log.adapters.anchors.witness import WitnessAnchor
from services.audit_log.domain.anchoring import OVERDUE, Standing, is_due, is_overdue
from services.audit_log.ports import Anchor, AnchorRefusedError
from services.audit_log.web.letter import checkpoint_letter
from services.shared.errors import ConfigurationError, TransientError
from services.shared.smtp import MailServer, Postman
from services.shared.tlog.checkpoint import parse_checkpoint
from services.shared.tlog.cosignature import Cosigner, cosigned_at
from services.shared.tlog.merkle import root_of
from services.shared.tlog.note import Signer, parse_note
from services.shared.tlog.tiles import all_tiles, level_tiles, split_hashes
from tests.servers.process import free_port
from tests.servers.receiver import receiving
from tests.unit.audit_log.anchored import Authority, answering, asked_at, witnessing
from tests.unit.cost_alerts.inbox import Inbox, server
from tests.unit.witness.world import LOG, NOW, WITNESS, Room, Tree

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
MORNING = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
TREE = Tree.numbered(600)
FORK = Tree.numbered(600, "forged")


def push(anchor: Anchor, tree: Tree, size: int) -> bytes:
    return anchor.push(tree.note(size), tree.signed(size), tree.node, tree.tile)


# When


@pytest.mark.parametrize(
    ("standing", "every", "size", "due"),
    [
        pytest.param(Standing(), DAY, 0, True, id="never anchored, an empty log"),
        pytest.param(Standing(8, MORNING, MORNING), MINUTE, 8, False, id="the newest is there"),
        pytest.param(Standing(9, MORNING, MORNING), MINUTE, 8, False, id="a newer one is there"),
        pytest.param(Standing(8, MORNING - 59 * MINUTE), 60 * MINUTE, 9, False, id="not yet time"),
        pytest.param(Standing(8, MORNING - 60 * MINUTE), 60 * MINUTE, 9, True, id="time"),
        pytest.param(Standing(8, MORNING), timedelta(0), 9, True, id="at every checkpoint"),
        pytest.param(Standing(8, MORNING + DAY), DAY, 9, True, id="told by a clock that was set back"),
        pytest.param(Standing(tried_at=MORNING - timedelta(seconds=9), failures=1), DAY, 9, False, id="just failed"),
        pytest.param(Standing(tried_at=MORNING - timedelta(seconds=10), failures=1), DAY, 9, True, id="tried again"),
        pytest.param(Standing(tried_at=MORNING - timedelta(seconds=39), failures=3), DAY, 9, False, id="more patience"),
        pytest.param(Standing(tried_at=MORNING - 14 * MINUTE, failures=99), DAY, 9, False, id="a quarter of an hour"),
        pytest.param(Standing(tried_at=MORNING - 15 * MINUTE, failures=99), DAY, 9, True, id="and no more"),
        pytest.param(
            Standing(tried_at=MORNING - 59 * MINUTE, failures=1, refusal="larger"), DAY, 9, False, id="just refused"
        ),
        pytest.param(
            Standing(tried_at=MORNING - 60 * MINUTE, failures=1, refusal="larger"), DAY, 9, True, id="asked again"
        ),
    ],
)
def test_when_a_checkpoint_goes_to_an_anchor(standing: Standing, every: timedelta, size: int, due: bool) -> None:
    assert is_due(standing, every, size, MORNING) is due


@pytest.mark.parametrize(
    ("standing", "since", "overdue"),
    [
        (Standing(), MORNING - OVERDUE, False),
        (Standing(), MORNING - OVERDUE - MINUTE, True),
        (Standing(8, MORNING - OVERDUE), MORNING - 9 * DAY, False),
        (Standing(8, MORNING - OVERDUE - MINUTE), MORNING - 9 * DAY, True),
    ],
)
def test_when_an_anchor_is_overdue(standing: Standing, since: datetime, overdue: bool) -> None:
    assert is_overdue(standing, since, MORNING) is overdue


# The witness


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "witness")


@pytest.fixture
def address(room: Room) -> Iterator[str]:
    with witnessing(room.witness) as found:
        yield found


def witness_at(address: str, vkey: str = WITNESS["vkey"]) -> WitnessAnchor:
    return WitnessAnchor(asked_at(address, vkey), MINUTE, post)


def test_a_witness_cosigns_as_the_log_grows(address: str) -> None:
    anchor = witness_at(f"{address}/")
    key = Cosigner(WITNESS["name"], bytes.fromhex(WITNESS["seed_hex"])).key
    for size in (3, 3, 300, 600):
        line = push(anchor, TREE, size)
        assert cosigned_at(parse_note(TREE.note(size) + line), key) == NOW


def test_a_log_that_was_started_again_learns_what_the_witness_saw(address: str) -> None:
    push(witness_at(address), TREE, 300)
    assert push(witness_at(address), TREE, 600)


def test_a_second_log_under_one_origin_is_refused_and_kept_as_evidence(address: str, room: Room) -> None:
    push(witness_at(address), TREE, 300)
    for size, known in ((600, 300), (300, 300)):
        with pytest.raises(AnchorRefusedError, match="one of the two was forged") as found:
            push(witness_at(address), FORK, size)
        assert (found.value.reason, found.value.known_size) == ("inconsistent", known)
    assert [refusal.note for refusal in room.memory.refused()] == [FORK.note(600), FORK.note(300)]
    assert push(witness_at(address), TREE, 600), "the true log goes on"


def test_a_log_that_was_cut_off_is_refused(address: str) -> None:
    push(witness_at(address), TREE, 300)
    with pytest.raises(AnchorRefusedError, match="has seen 300 entries, the log has 200: it was cut off") as found:
        push(witness_at(address), TREE, 200)
    assert (found.value.reason, found.value.known_size) == ("larger", 300)


@pytest.mark.parametrize(
    ("signer", "reason"),
    [
        pytest.param(Signer(LOG.key.name, bytes([7]) * 32), "bad_signature", id="another key"),
        pytest.param(Signer("other.example/log", bytes([7]) * 32), "unknown_origin", id="another log"),
    ],
)
def test_who_the_witness_does_not_know_is_refused(address: str, signer: Signer, reason: str) -> None:
    with pytest.raises(AnchorRefusedError) as found:
        push(witness_at(address), Tree.numbered(3, signer=signer), 3)
    assert found.value.reason == reason


def test_a_cosignature_is_not_believed_unverified(address: str) -> None:
    other = Cosigner(WITNESS["name"], bytes([7]) * 32)
    with pytest.raises(AnchorRefusedError, match="did not cosign with the key"):
        push(witness_at(address, str(other.key)), TREE, 3)


@pytest.mark.parametrize(
    ("status", "body", "error", "sentence"),
    [
        pytest.param(200, b"", AnchorRefusedError, "did not cosign", id="no line"),
        pytest.param(200, b"<html>", AnchorRefusedError, "that is none", id="a page"),
        pytest.param(409, b"0\n", AnchorRefusedError, "another log", id="the size that it was asked with"),
        pytest.param(409, b"<html>", AnchorRefusedError, "another log", id="no size"),
        pytest.param(400, b"", AnchorRefusedError, "answered 400", id="a mistake of ours"),
        pytest.param(302, b"", AnchorRefusedError, "answered 302", id="elsewhere"),
        pytest.param(429, b"", TransientError, "answered 429", id="too often"),
        pytest.param(503, b"", TransientError, "answered 503", id="its clock is behind"),
        pytest.param(200, b"x" * (MAX_ANSWER_BYTES + 1), TransientError, "cannot be reached", id="too long"),
    ],
)
def test_what_else_a_witness_may_answer(status: int, body: bytes, error: type[Exception], sentence: str) -> None:
    with answering(lambda _path, _asked: (status, body)) as address, pytest.raises(error, match=sentence):
        push(witness_at(address), TREE, 3)


def test_a_witness_that_sees_more_each_time_is_asked_a_few_times_only() -> None:
    sizes = iter(range(1, 100))
    with (
        answering(lambda _path, _asked: (409, f"{next(sizes)}\n".encode())) as address,
        pytest.raises(TransientError, match="another size each time"),
    ):
        push(witness_at(address), TREE, 300)
    assert next(sizes) == 5


def test_a_witness_that_is_away_or_slow_is_waited_for_so_long_only() -> None:
    with pytest.raises(TransientError, match="cannot be reached"):
        push(witness_at(f"http://127.0.0.1:{free_port()}"), TREE, 3)
    with receiving() as receiver:
        receiver.drips = True
        with pytest.raises(TransientError, match="did not answer within"):
            post("the witness", receiver.address, b"", "text/plain", patience_seconds=0.3)


# The folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_holds_the_tree_of_hashes_and_every_checkpoint(tmp_path: Path) -> None:
    anchor = FolderAnchor(tmp_path)
    for size in (0, 3, 255, 256, 300, 600):
        assert push(anchor, TREE, size) == b""
    found = contents(tmp_path)
    assert found.pop("checkpoint") == TREE.note(600)
    notes = {name: found.pop(name) for name in list(found) if name.startswith("checkpoints/")}
    assert notes == {f"checkpoints/{size:012d}": TREE.note(size) for size in (0, 3, 255, 256, 300, 600)}
    assert set(found) == {tile.path for tile in all_tiles(600) if tile.level >= 0} | {"tile/1/000.p/1"}
    leaves = [hashed for tile in level_tiles(0, 600) for hashed in split_hashes(found[tile.path])]
    for size in (3, 256, 600):
        assert root_of(leaves[:size]) == parse_checkpoint(parse_note(notes[f"checkpoints/{size:012d}"]).text).root


def test_what_lies_in_the_folder_is_not_written_again(tmp_path: Path) -> None:
    push(FolderAnchor(tmp_path), TREE, 300)
    before = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "tile/0/000", tmp_path / "checkpoints/000000000300")
    }
    push(FolderAnchor(tmp_path), TREE, 600)
    push(FolderAnchor(tmp_path), TREE, 600)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_only_tiles_that_changed_are_written() -> None:
    grown = {tile.path for tile in new_tiles(70_000, 70_100)}
    assert grown == {"tile/0/273.p/212"}
    assert {tile.path for tile in new_tiles(0, 70_000)} == {tile.path for tile in all_tiles(70_000) if tile.level >= 0}


@pytest.mark.parametrize(
    ("size", "tree", "reason"),
    [
        pytest.param(600, FORK, "inconsistent", id="another log of this name"),
        pytest.param(200, TREE, "larger", id="a log that was cut off"),
        pytest.param(600, Tree.numbered(600, signer=Signer("o.example", bytes(32))), "unknown_origin", id="of another"),
    ],
)
def test_a_folder_refuses_another_log(tmp_path: Path, size: int, tree: Tree, reason: str) -> None:
    push(FolderAnchor(tmp_path), TREE, 300)
    before = contents(tmp_path)
    with pytest.raises(AnchorRefusedError) as found:
        push(FolderAnchor(tmp_path), tree, size)
    assert found.value.reason == reason
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["tile/0/000", "checkpoints/000000000300", "tile/1/000.p/1"])
def test_other_bytes_where_something_was_written_are_refused(tmp_path: Path, name: str) -> None:
    push(FolderAnchor(tmp_path), TREE, 300)
    (tmp_path / "checkpoint").unlink()
    (tmp_path / name).write_bytes(FORK.note(300) if name.startswith("checkpoints") else bytes(32))
    with pytest.raises(AnchorRefusedError, match=f"other bytes in {name}"):
        push(FolderAnchor(tmp_path), TREE, 300)


def test_a_push_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    push(FolderAnchor(tmp_path), TREE, 300)
    whole = contents(tmp_path)
    (tmp_path / "checkpoint").unlink()
    (tmp_path / "checkpoints/000000000300").unlink()
    (tmp_path / "tile/0/001.p/44").unlink()
    (tmp_path / "tile/0/001.p/44.part").write_bytes(b"half")
    push(FolderAnchor(tmp_path), TREE, 300)
    assert contents(tmp_path) == whole


def test_the_same_tree_signed_anew_is_no_other_log(tmp_path: Path) -> None:
    push(FolderAnchor(tmp_path), TREE, 300)
    again = Signer(LOG.key.name, bytes([9]) * 32).sign(TREE.signed(300).text)
    FolderAnchor(tmp_path).push(again, TREE.signed(300), TREE.node, TREE.tile)
    assert (tmp_path / "checkpoint").read_bytes() == again
    assert (tmp_path / "checkpoints/000000000300").read_bytes() == TREE.note(300)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="mount or make"):
        push(FolderAnchor(tmp_path / "share"), TREE, 3)
    assert not (tmp_path / "share").exists()
    (tmp_path / "checkpoint").write_text("a note of somebody's")
    with pytest.raises(AnchorRefusedError, match="checkpoint is none"):
        push(FolderAnchor(tmp_path), TREE, 3)


# The mail


def mail_anchor(address: str, *to: str) -> MailAnchor:
    postman = Postman(MailServer.parse(f"smtp://{address}"), patience_seconds=2)
    sender = "Valvomo <valvomo@city.example>"
    return MailAnchor(
        sender, to, checkpoint_letter, lambda message, people: postman.post(message, sender, people), lambda: MORNING
    )


def test_a_mail_carries_the_checkpoint_and_says_what_it_is_for() -> None:
    inbox = Inbox()
    with server(inbox) as address:
        receipts = {push(mail_anchor(address, "audit@city.example", "registry@city.example"), TREE, 300) for _ in "ab"}
    to, message = inbox.mails[0]
    assert to == ["audit@city.example", "registry@city.example"]
    assert receipts == {str(message["message-id"]).encode()}, "the same checkpoint has one name"
    assert "300" in str(message["subject"])
    (attached,) = message.iter_attachments()
    assert isinstance(attached, EmailMessage)
    assert attached.get_payload(decode=True) == TREE.note(300)
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content().replace("\r\n", "\n")
    for said in ("SUOMEKSI", "PÅ SVENSKA", "IN ENGLISH", TREE.root(300).hex(), TREE.note(300).decode()):
        assert said in text


@pytest.mark.parametrize(
    ("answer", "error"),
    [("550 no such person", AnchorRefusedError), ("450 try later", TransientError)],
)
def test_a_mail_that_nobody_gets_is_no_anchor(answer: str, error: type[Exception]) -> None:
    with server(Inbox({"audit@city.example": answer})) as address:
        with pytest.raises(error, match="VALVOMO_ANCHOR_MAIL_TO") as found:
            push(mail_anchor(address, "audit@city.example"), TREE, 300)
        assert push(mail_anchor(address, "audit@city.example", "other@city.example"), TREE, 300)
    assert "city.example" not in str(found.value)


# The time-stamping authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine: time stamps were not tried")
    return Authority(tmp_path_factory.mktemp("authority"))


def stamped_by(authority: Authority, answer: Callable[[bytes], tuple[int, bytes]], tree: Tree = TREE) -> bytes:
    roots = load_pem_x509_certificates(authority.root.read_bytes())
    with answering(lambda _path, body: answer(body)) as address:
        return push(TimestampAnchor(address, roots, post), tree, 300)


def test_a_timestamp_over_the_signed_checkpoint(authority: Authority) -> None:
    receipt = stamped_by(authority, lambda query: (200, authority.stamp(query)))
    assert authority.confirms(TREE.note(300), receipt), "openssl reads what we keep"
    assert not authority.confirms(FORK.note(300), receipt)


def test_timestamps_that_are_not_believed(authority: Authority, tmp_path: Path) -> None:
    stamped: list[bytes] = []

    def first(query: bytes) -> tuple[int, bytes]:
        stamped.append(authority.stamp(query))
        return 200, stamped[0]

    stamped_by(authority, first)
    with pytest.raises(AnchorRefusedError, match="does not verify"):
        stamped_by(authority, lambda _query: (200, stamped[0]))  # an old one, given again
    with pytest.raises(AnchorRefusedError, match="does not verify"):
        stamped_by(Authority(tmp_path), lambda query: (200, authority.stamp(query)))  # of an authority nobody trusts
    with pytest.raises(TransientError, match="no timestamp"):
        stamped_by(authority, lambda _query: (200, b"<html>"))
    with pytest.raises(TransientError, match="answered 404"):
        stamped_by(authority, lambda _query: (404, b""))


def test_settings_of_a_timestamp_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, sentence in ((None, "not VALVOMO_TIMESTAMP_ROOTS"), (tmp_path / "x", "holds no certificates")):
        with pytest.raises(ConfigurationError, match=sentence):
            read_roots(path)
    monkeypatch.setattr(timestamp_module, "rfc3161_client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'valvomo\[timestamp\]'"):
        TimestampAnchor("http://127.0.0.1:1", [], post)
