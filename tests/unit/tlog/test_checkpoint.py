"""Notes, keys and checkpoints against the published vectors; libsodium as second opinion."""

import json
from pathlib import Path
from typing import Any

import nacl.bindings
import nacl.exceptions
import nacl.signing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from services.shared.tlog.note import NoteError, Signer, VerifierKey, open_note, parse_note, parse_vkey

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/vectors/checkpoint.json").read_text())
LOG = VECTORS["keys"]["log"]
ROTATED = VECTORS["keys"]["log_rotated"]


def signer(key: dict[str, Any] = LOG) -> Signer:
    return Signer(key["name"], bytes.fromhex(key["seed_hex"]))


@pytest.mark.parametrize("key", [LOG, ROTATED], ids=["log", "log_rotated"])
def test_keys(key: dict[str, Any]) -> None:
    made = signer(key).key
    assert made.public_key.hex() == key["public_key_hex"]
    assert made.key_id.hex() == key["key_id_hex"]
    assert str(made) == key["vkey"]
    assert parse_vkey(key["vkey"]) == made


def test_the_published_example_verifies() -> None:
    example = VECTORS["published_c2sp_example"]
    assert (
        open_note(example["signed_note"].encode(), [parse_vkey(example["vkey"])]).text
        == "This is an example message.\n"
    )


@pytest.mark.parametrize("case", VECTORS["checkpoints_8leaf_tree"], ids=lambda case: f"size {case['size']}")
def test_checkpoints_are_signed_byte_for_byte(case: dict[str, Any]) -> None:
    note = sign_checkpoint(signer(), case["size"], bytes.fromhex(case["root_hex"]))
    assert note == case["signed_note"].encode()
    assert open_checkpoint(note, signer().key) == Checkpoint(LOG["name"], case["size"], bytes.fromhex(case["root_hex"]))
    nacl.signing.VerifyKey(signer().key.public_key).verify(
        case["note_text"].encode(), parse_note(note).signatures[0].payload
    )


@pytest.mark.parametrize("case", VECTORS["must_reject"], ids=lambda case: case["why"])
def test_damaged_checkpoints_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(case["signed_note"].encode(), signer().key)


def test_lines_of_unknown_keys_are_passed_over() -> None:
    for note in (VECTORS["cosignature_v1"]["cosigned_checkpoint"], VECTORS["key_rotation_dual_signed_checkpoint"]):
        assert open_checkpoint(note.encode(), signer().key).size == 8
    assert open_checkpoint(VECTORS["key_rotation_dual_signed_checkpoint"].encode(), signer(ROTATED).key).size == 8


def test_both_sides_of_a_split_view_verify_alone() -> None:
    split = VECTORS["split_view_evidence"]
    first, second = (open_checkpoint(split[side].encode(), signer().key) for side in ("note_a", "note_b"))
    assert first.size == second.size
    assert first.root != second.root


def test_a_small_order_key_is_refused() -> None:
    with pytest.raises(NoteError, match="small order"):
        parse_vkey(VECTORS["small_order_key_must_be_refused_as_vkey"]["vkey"])


@pytest.mark.parametrize(
    "y",
    [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, 2**255 - 1],
    ids=["order 4", "identity", "order 2", "zero again", "one again", "largest"],
)
@pytest.mark.parametrize("sign", [0, 1])
def test_every_key_that_lets_forgeries_pass_is_refused(y: int, sign: int) -> None:
    with pytest.raises(NoteError, match="small order"):
        VerifierKey("a", (y | sign << 255).to_bytes(32, "little"))


@pytest.mark.parametrize(
    "key",
    [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ],
)
def test_keys_of_order_8_are_refused_as_libsodium_does(key: str) -> None:
    assert not nacl.bindings.crypto_core_ed25519_is_valid_point(bytes.fromhex(key))
    with pytest.raises(NoteError, match="small order"):
        VerifierKey("a", bytes.fromhex(key))


@pytest.mark.parametrize(
    ("vkey", "why"),
    [
        pytest.param("a+00000000", "not a verifier key", id="two parts"),
        pytest.param(LOG["vkey"].replace("7370cdd4", "7370cdd5"), "mistyped", id="another id"),
        pytest.param(LOG["vkey"].replace("7370cdd4", "7370CDD4"), "not a verifier key", id="id in capitals"),
        pytest.param(LOG["vkey"].replace("VTG4", "VTG5"), "mistyped", id="another key"),
        pytest.param(LOG["vkey"] + "=", "base64", id="needless padding"),
        pytest.param(VECTORS["keys"]["witness"]["vkey"], "not an Ed25519 key", id="key of a witness"),
        pytest.param(" " + LOG["vkey"], "spaces", id="space before"),
    ],
)
def test_damaged_verifier_keys_are_refused(vkey: str, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        parse_vkey(vkey)


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\n",
        "a\n+1\n" + "A" * 43 + "=\n",
        "a\n1_0\n" + "A" * 43 + "=\n",
        "a\n٣\n" + "A" * 43 + "=\n",
        "a\n99999999999999999999\n" + "A" * 43 + "=\n",
    ],
    ids=["two lines", "signed size", "underscore", "digit of another script", "beyond 63 bits"],
)
def test_checkpoints_that_two_programs_could_read_differently_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(text)


def test_line_breaks_of_other_kinds_do_not_split_lines() -> None:
    text = "origin\N{LINE SEPARATOR}x\n1\n" + "A" * 43 + "=\n"
    assert parse_checkpoint(text).origin == "origin\N{LINE SEPARATOR}x"


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_what_is_signed_opens_and_libsodium_agrees(seed: bytes, size: int, root: bytes) -> None:
    own = Signer("log.example/a", seed)
    note = sign_checkpoint(own, size, root)
    assert open_checkpoint(note, own.key) == Checkpoint("log.example/a", size, root)
    parsed = parse_note(note)
    nacl.signing.VerifyKey(own.key.public_key).verify(parsed.text.encode(), parsed.signatures[0].payload)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_no_note_with_a_flipped_bit_opens_as_another_checkpoint(position: int) -> None:
    note = VECTORS["checkpoints_8leaf_tree"][-1]["signed_note"].encode()
    at, bit = divmod(position % (len(note) * 8), 8)
    altered = note[:at] + bytes([note[at] ^ 1 << bit]) + note[at + 1 :]
    with pytest.raises(NoteError):
        open_checkpoint(altered, signer().key)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(data, signer().key)
