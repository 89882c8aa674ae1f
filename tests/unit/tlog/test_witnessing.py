"""What a log asks a witness: the vectors' request, and requests that cannot be read."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.tlog.note import NoteError
from services.shared.tlog.witnessing import monitoring_path, parse_request, parse_size, write_request

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/vectors/checkpoint.json").read_text())
ASKED = VECTORS["witness_add_checkpoint"]
BODY: str = ASKED["request_body"]


def test_the_request_of_the_vectors() -> None:
    request = parse_request(BODY.encode())
    assert (request.old, len(request.proof)) == (5, 4)
    assert request.note.decode() == VECTORS["checkpoints_8leaf_tree"][3]["signed_note"]
    assert write_request(request.old, request.proof, request.note).decode() == BODY


@given(old=st.integers(0, 2**62), proof=st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_what_is_written_is_read(old: int, proof: list[bytes]) -> None:
    request = parse_request(write_request(old, proof, b"a\n"))
    assert (request.old, list(request.proof), request.note) == (old, proof, b"a\n")


def test_where_a_witness_shows_a_log() -> None:
    hashed = ASKED["monitoring_path_origin_hash_hex"]
    assert monitoring_path(VECTORS["keys"]["log"]["name"]) == f"/{hashed}/checkpoint"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param("", "expected a line", id="nothing"),
        pytest.param("old 5\n", "expected a line", id="no checkpoint"),
        pytest.param("old 5\n\n", "expected a line", id="an empty checkpoint"),
        pytest.param("old 05\n\nnote\n", "decimal", id="a leading zero"),
        pytest.param("old +5\n\nnote\n", "decimal", id="a sign"),
        pytest.param("old  5\n\nnote\n", "decimal", id="two spaces"),
        pytest.param("old \u0665\n\nnote\n", "ASCII", id="another alphabet's digit"),
        pytest.param("new 5\n\nnote\n", "decimal", id="another word"),
        pytest.param("old 5\nAAAA\n\nnote\n", "3 bytes", id="a short hash"),
        pytest.param(f"old 5\n{'A' * 43}B=\n\nnote\n", "base64", id="bad base64"),
        pytest.param("old 5\n" + f"{'A' * 43}=\n" * 64 + "\nnote\n", "at most 63", id="a proof too long"),
        pytest.param("old 5\r\n\r\nnote\n", "expected a line", id="converted line ends"),
    ],
)
def test_requests_that_must_be_refused(body: str, sentence: str) -> None:
    with pytest.raises(NoteError, match=sentence):
        parse_request(body.encode())


@pytest.mark.parametrize(
    ("body", "size"), [(b"5\n", 5), (b"0\n", 0), (b"5", None), (b"05\n", None), (b"5\n\n", None), (b"", None)]
)
def test_the_size_in_an_answer(body: bytes, size: int | None) -> None:
    assert parse_size(body) == size
