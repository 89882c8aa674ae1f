"""Trust policies: read strictly, and what they find on a note."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog.cosignature import Cosigner
from services.shared.tlog.note import NoteError, parse_note
from services.shared.tlog.policy import Group, Policy, parse_policy, quorum_met

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/vectors/checkpoint.json").read_text())
LOG = VECTORS["keys"]["log"]["vkey"]
NOTE: bytes = VECTORS["checkpoints_8leaf_tree"][3]["signed_note"].encode()
TEXT: str = VECTORS["checkpoints_8leaf_tree"][3]["note_text"]
WITNESSES = [Cosigner(f"witness.example/w{number}", bytes([number]) * 32) for number in range(6)]
LINES = "".join(f"witness w{number} {witness.key}\n" for number, witness in enumerate(WITNESSES))
TWO_LEVELS = f"""# who must have seen our log
log {LOG} https://log.example/
{LINES}
\tgroup archive  2\tw0 w1 w2
group city any w3 w4
group both all archive city
quorum both
"""


def policy(text: str) -> Policy:
    return parse_policy(text.encode())


def test_a_policy_of_two_levels() -> None:
    found = policy(TWO_LEVELS)
    assert [(str(key), url) for key, url in found.logs] == [(LOG, "https://log.example/")]
    assert list(found.witnesses) == [f"w{number}" for number in range(6)]
    assert found.groups["archive"] == Group(2, ("w0", "w1", "w2"))
    assert (found.groups["both"], found.quorum) == (Group(2, ("archive", "city")), "both")


@pytest.mark.parametrize(
    ("cosigners", "newest"),
    [
        pytest.param([], None, id="nobody"),
        pytest.param([0, 1], None, id="one group only"),
        pytest.param([0, 3], None, id="one of two in the first group"),
        pytest.param([0, 2, 4], 1_000, id="just enough"),
        pytest.param([0, 1, 2, 3, 4, 5], 1_001, id="everybody, and the last that it took"),
        pytest.param([5], None, id="one of no group"),
    ],
)
def test_a_quorum(cosigners: list[int], newest: int | None) -> None:
    note = NOTE + b"".join(WITNESSES[number].cosign(TEXT, 1_000 + number) for number in cosigners)
    found = quorum_met(policy(TWO_LEVELS), parse_note(note))
    assert (found.met, found.newest) == (newest is not None, newest)
    assert found.times == {f"w{number}": 1_000 + number for number in cosigners}


def test_one_witness_or_none_may_be_the_quorum() -> None:
    alone = parse_note(NOTE)
    assert quorum_met(policy("quorum none\n"), alone).met
    assert not quorum_met(policy(f"{LINES}quorum w1\n"), alone).met
    assert quorum_met(policy(f"{LINES}quorum w1\n"), parse_note(NOTE + WITNESSES[1].cosign(TEXT, 5))).met


def test_a_line_of_a_known_witness_that_does_not_verify_spoils_the_note() -> None:
    wrong = WITNESSES[5].cosign(TEXT.replace("\n8\n", "\n9\n"), 5)
    found = quorum_met(policy(f"{LINES}quorum w0\n"), parse_note(NOTE + WITNESSES[0].cosign(TEXT, 5) + wrong))
    assert (found.met, found.wrong) == (False, ("w5",))


@given(cosigners=st.sets(st.integers(0, 5)), threshold=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_a_group_is_met_by_as_many_as_it_says(cosigners: set[int], threshold: int) -> None:
    note = NOTE + b"".join(WITNESSES[number].cosign(TEXT, 5) for number in cosigners)
    found = policy(f"{LINES}group all-of-us {threshold} w0 w1 w2 w3 w4 w5\nquorum all-of-us\n")
    assert quorum_met(found, parse_note(note)).met is (len(cosigners) >= threshold)


_KEY = WITNESSES[0].key


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", "no line `quorum`", id="empty"),
        pytest.param("quorum none", "does not end in a newline", id="cut"),
        pytest.param("quorum none\nquorum none\n", "line 2 .*second", id="two quorums"),
        pytest.param("quorum w0\n", "line 1 .*not defined", id="unknown name"),
        pytest.param(f"group g any w0\nwitness w0 {_KEY}\nquorum g\n", "line 1 .*not defined", id="used too early"),
        pytest.param(f"witness none {_KEY}\nquorum none\n", "none is taken", id="the name none"),
        pytest.param(f"{LINES}witness w0 {_KEY}\nquorum w0\n", "w0 is taken", id="a name twice"),
        pytest.param(f"{LINES}witness more {_KEY}\nquorum w0\n", "count twice", id="a key twice"),
        pytest.param(f"{LINES}group w0 any w1\nquorum w0\n", "w0 is taken", id="a group named like a witness"),
        pytest.param(f"{LINES}group g any w1 w1\nquorum g\n", "member already", id="a member twice"),
        pytest.param(f"{LINES}group g any w1\ngroup h any w1\nquorum h\n", "member already", id="in two groups"),
        pytest.param(f"{LINES}group g any none\nquorum g\n", "not defined", id="none as a member"),
        pytest.param(f"{LINES}group g 3 w1 w2\nquorum g\n", "1 to 2", id="more than there are"),
        pytest.param(f"{LINES}group g 0 w1 w2\nquorum g\n", "1 to 2", id="none of them"),
        pytest.param(f"{LINES}group g 01 w1 w2\nquorum g\n", "1 to 2", id="a leading zero"),
        pytest.param(f"{LINES}group g \u0661 w1 w2\nquorum g\n", "1 to 2", id="another alphabet's digit"),
        pytest.param(f"{LINES}group g any\nquorum g\n", "expected group", id="no member"),
        pytest.param(f"log {LOG}\nlog {LOG}\nquorum none\n", "line 2 .*already", id="a log twice"),
        pytest.param(f"log {_KEY}\nquorum none\n", "line 1 .*not an Ed25519", id="a witness as a log"),
        pytest.param(f"witness w {LOG}\nquorum none\n", "not a witness's key", id="a log as a witness"),
        pytest.param("log\nquorum none\n", "expected log", id="no key"),
        pytest.param("witness w\nquorum none\n", "expected witness", id="a witness without key"),
        pytest.param("quorum\n", "expected quorum", id="a quorum without name"),
        pytest.param("witnesses w\nquorum none\n", "line 1 .*expected log, witness", id="another word"),
        pytest.param("quorum none\r\n", "control characters", id="converted line ends"),
        pytest.param("quorum\u00a0none\n", "expected log, witness", id="a space that is none"),
    ],
)
def test_policies_that_must_be_refused(text: str, sentence: str) -> None:
    with pytest.raises(NoteError, match=sentence):
        policy(text)


def test_a_policy_that_is_not_text_or_too_long_is_refused() -> None:
    with pytest.raises(NoteError, match="UTF-8"):
        parse_policy(b"# \xff\nquorum none\n")
    with pytest.raises(NoteError, match="at most"):
        parse_policy(b"\n" * 20_000)
