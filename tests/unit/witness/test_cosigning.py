"""What a witness cosigns and what it refuses: the vectors' conversation, and every answer of the protocol."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from services.shared.tlog.merkle import EMPTY_ROOT, consistency_proof
from services.shared.tlog.note import Signer
from services.shared.tlog.witnessing import monitoring_path, write_request
from services.witness.cosigning import Answer, Witness
from services.witness.identity import create, load
from services.witness.memory import MAX_REFUSED, Memory
from tests.unit.witness.world import EIGHT, LOG, NOW, VECTORS, WITNESS, Room, Tree

ASKED = VECTORS["witness_add_checkpoint"]
BODY: bytes = ASKED["request_body"].encode()
OTHERS: dict[str, Any] = {case["case"]: case for case in ASKED["other_outcomes"]}
OTHER_LOG = Signer("other.example/log", bytes(range(32)))
FORK = Tree.numbered(20, "forged")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "witness")


@pytest.fixture
def at_five(room: Room) -> Room:
    """The witness of the vectors: it has cosigned the first five entries."""
    room.now = NOW - 60
    assert room.asked(EIGHT.ask(0, 5))[0] == 200
    room.now = NOW
    return room


def test_the_conversation_of_the_vectors(at_five: Room) -> None:
    assert at_five.asked(BODY) == (ASKED["expected_status"], ASKED["response_body"])
    path = f"/{ASKED['monitoring_path_origin_hash_hex']}/checkpoint"
    shown = at_five.witness.checkpoint_at(path)
    assert (shown.status, shown.body.decode()) == (200, VECTORS["cosignature_v1"]["cosigned_checkpoint"])


@pytest.mark.parametrize(
    ("case", "body"),
    [
        ("old 8 sent although the witness last cosigned 5", EIGHT.ask(8, 8)),
        ("old 0 with witness state 5 (client probing)", EIGHT.ask(0, 8)),
        ("unknown origin", Tree(EIGHT.leaves, OTHER_LOG).ask(0, 8)),
        (
            "no signature from a trusted key, or a trusted key's line fails to verify",
            BODY.replace(b"c3DN1IWj", b"c3DN1IWk"),
        ),
        ("old larger than checkpoint size", write_request(9, [], EIGHT.note(8))),
        (
            "consistency proof wrong, or same size with another root, or proof not empty for old 0",
            write_request(5, [bytes(32)] * 4, EIGHT.note(8)),
        ),
    ],
)
def test_the_other_outcomes_of_the_vectors(at_five: Room, case: str, body: bytes) -> None:
    expected = OTHERS[case]
    answer = at_five.witness.add_checkpoint(body)
    assert answer.status == expected["status"]
    assert answer.body.decode() == expected.get("body", answer.body.decode())
    assert answer.content_type == expected.get("content_type", answer.content_type)
    assert at_five.asked(BODY)[0] == 200, "a refusal changes nothing"


@pytest.mark.parametrize("case", VECTORS["must_reject"], ids=lambda case: case["why"])
def test_no_damaged_checkpoint_is_cosigned(room: Room, case: dict[str, Any]) -> None:
    answer = room.witness.add_checkpoint(write_request(0, [], case["signed_note"].encode()))
    assert answer.status in {400, 403, 404}
    assert not room.memory.shown()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(EIGHT.ask(5, 5), 200, id="the same again"),
        pytest.param(EIGHT.ask(5, 6), 200, id="one more"),
        pytest.param(FORK.ask(5, 5), 422, id="the same size, another root"),
        pytest.param(FORK.ask(5, 20), 422, id="another log that has grown"),
        pytest.param(write_request(5, [], EIGHT.note(8)), 422, id="without a proof"),
        pytest.param(write_request(5, [bytes(32)], EIGHT.note(5)), 422, id="a proof where none belongs"),
        pytest.param(
            write_request(5, [*consistency_proof(5, 8, EIGHT.node), bytes(32)], EIGHT.note(8)), 422, id="one too many"
        ),
        pytest.param(write_request(0, [], EIGHT.note(0)), 409, id="the empty log"),
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"old 5\n\nno note\n", 400, id="no note"),
    ],
)
def test_what_comes_after_five_entries(at_five: Room, body: bytes, status: int) -> None:
    assert at_five.asked(body)[0] == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(EIGHT.ask(0, 8), 200, id="trusted on first sight"),
        pytest.param(write_request(0, [bytes(32)], EIGHT.note(8)), 422, id="with a proof"),
        pytest.param(EIGHT.ask(0, 0), 200, id="the empty log"),
        pytest.param(
            write_request(0, [], LOG.sign(f"{LOG.key.name}\n0\n{'A' * 43}=\n")), 422, id="empty, another root"
        ),
        pytest.param(EIGHT.ask(5, 8), 409, id="from a size that was not seen"),
    ],
)
def test_the_first_checkpoint_of_a_log(room: Room, body: bytes, status: int) -> None:
    assert room.asked(body)[0] == status


def test_the_empty_log_is_remembered_and_continued(room: Room) -> None:
    assert room.asked(EIGHT.ask(0, 0))[0] == 200
    assert EIGHT.root(0) == EMPTY_ROOT
    assert room.asked(EIGHT.ask(0, 3))[0] == 200


def test_a_clock_that_was_set_back_signs_nothing(at_five: Room) -> None:
    at_five.now = NOW - 61
    assert at_five.asked(BODY) == (503, "the witness's clock is behind what it cosigned last\n")
    at_five.now = NOW - 60
    assert at_five.asked(BODY)[0] == 200


def test_a_clock_is_behind_for_every_log(tmp_path: Path) -> None:
    room = Room(tmp_path / "witness", [LOG, OTHER_LOG])
    assert room.asked(EIGHT.ask(0, 5))[0] == 200
    room.now -= 1
    assert room.asked(Tree.numbered(3, signer=OTHER_LOG).ask(0, 3))[0] == 503


def test_lines_of_others_are_neither_believed_nor_shown(room: Room) -> None:
    stranger = Signer("stranger.example", bytes(32)).sign(EIGHT.signed(8).text)
    line = stranger[stranger.rindex(b"\n\n") + 2 :]
    assert room.asked(EIGHT.ask(0, 8) + line)[0] == 200
    shown = room.witness.checkpoint_at(monitoring_path(LOG.key.name)).body
    assert shown.count("\N{EM DASH}".encode()) == 2
    assert b"stranger" not in shown


def test_both_keys_of_a_log_that_changes_its_key_are_known(tmp_path: Path) -> None:
    new = Signer(LOG.key.name, bytes.fromhex(VECTORS["keys"]["log_rotated"]["seed_hex"]))
    room = Room(tmp_path / "witness", [LOG, new])
    assert room.asked(EIGHT.ask(0, 5))[0] == 200
    assert room.asked(write_request(5, consistency_proof(5, 8, EIGHT.node), new.sign(EIGHT.signed(8).text)))[0] == 200


def test_what_a_log_signed_and_must_not_have_is_kept_once(at_five: Room) -> None:
    for _ in range(3):
        at_five.asked(FORK.ask(5, 20))
    at_five.asked(FORK.ask(5, 5))
    at_five.asked(FORK.ask(5, 20).replace(b"forged", b"forgee").replace(b"c3DN1", b"c3DN2"))  # nobody signed that
    kept = at_five.memory.refused()
    assert [refusal.note for refusal in kept] == [FORK.note(20), FORK.note(5)]
    assert all(refusal.seen_note.startswith(EIGHT.note(5)) for refusal in kept)
    assert "are the beginning" in kept[0].reason
    assert "rewritten" in kept[1].reason


def test_what_is_kept_is_bounded(at_five: Room) -> None:
    with at_five.memory.changing() as change:
        for number in range(MAX_REFUSED):
            change.connection.execute(
                "INSERT INTO refused VALUES (?, 'o', 0, 'r', 0, x'', ?)", (number + 1, str(number).encode())
            )
    assert at_five.asked(FORK.ask(5, 20))[0] == 422
    assert len(at_five.memory.refused()) == MAX_REFUSED


def test_of_racing_requests_one_wins_and_none_rolls_back(room: Room) -> None:
    room.asked(EIGHT.ask(0, 1))
    answers: list[tuple[int, Answer]] = []
    start = threading.Barrier(7)

    def ask(size: int) -> None:
        start.wait()
        answers.append((size, room.witness.add_checkpoint(EIGHT.ask(1, size))))

    threads = [threading.Thread(target=ask, args=(size,)) for size in range(2, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [size for size, answer in answers if answer.status == 200]
    assert len(won) == 1
    assert {answer.body for _, answer in answers if answer.status == 409} == {f"{won[0]}\n".encode()}


def test_a_memory_that_cannot_be_written_cosigns_nothing(at_five: Room) -> None:
    broken = Memory(at_five.memory.path.with_name("gone.db"))
    witness = Witness(broken, load(at_five.memory.path.parent)[0], [LOG.key], lambda: NOW)
    assert witness.add_checkpoint(BODY).status == 503
    assert not broken.path.exists(), "a memory is never made by asking"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE seen SET size = 4",
        "UPDATE seen SET root = zeroblob(32)",
        "UPDATE seen SET size = 9, cosigned_at = cosigned_at - 1",
        "UPDATE seen SET origin = 'x'",
        "DELETE FROM seen",
        "INSERT OR REPLACE INTO seen SELECT origin, 4, root, cosigned_at, note FROM seen",
        "INSERT OR REPLACE INTO seen SELECT origin, size, zeroblob(32), cosigned_at, note FROM seen",
        "REPLACE INTO seen SELECT origin, 99, root, cosigned_at, note FROM seen",
        "INSERT INTO seen SELECT * FROM seen WHERE true ON CONFLICT DO UPDATE SET size = 4",
        "UPDATE OR REPLACE seen SET size = 4",
        "UPDATE identity SET key = 'x'",
        "DELETE FROM identity",
        "INSERT OR REPLACE INTO identity VALUES (1, 'x')",
        "UPDATE refused SET reason = 'x'",
        "DELETE FROM refused",
        "INSERT OR REPLACE INTO refused VALUES (1, 'o', 0, 'r', 0, x'', x'00')",
        "INSERT OR REPLACE INTO refused SELECT 77, origin, 0, 'r', 0, x'', note FROM refused",
    ],
)
def test_the_database_refuses_to_forget(at_five: Room, statement: str) -> None:
    at_five.asked(FORK.ask(5, 20))
    with at_five.memory.changing() as change, pytest.raises(sqlite3.IntegrityError, match="forgets nothing"):
        change.connection.execute(statement)
    assert at_five.asked(BODY)[0] == 200


def test_a_witness_that_is_made_is_another_than_the_last(tmp_path: Path) -> None:
    first, second = create(tmp_path / "a", WITNESS["name"]), create(tmp_path / "b", WITNESS["name"])
    assert first.public_key != second.public_key
    assert load(tmp_path / "a")[0].key == first
