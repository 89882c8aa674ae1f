"""The pages on which people review: the queue, one output, the forms, and who may do what."""

import re
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services.audit_log.adapters.indexing import index_some
from services.audit_log.web.reviewing import host_of
from services.shared.events import GOVERNANCE, decode
from services.shared.events.governance import PseudonymJoining, PseudonymsJoined
from services.shared.keys import write_key
from services.shared.settings import Settings
from services.shared.web.words import LANGUAGES
from services.usage_collector.adapters.people import CONTENT_KEY, key_file
from services.usage_collector.intake import keyed_hash
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import MONDAY, SOURCE, at, generated, register_events, reviewed, superseded, used
from tests.unit.audit_log.people import MANDATES, STRICT, STRICT_USE_CASES, Person, Sessions, sign_in
from tests.unit.audit_log.test_pages import Outline

HASH, OTHER = "ab" * 32, "cd" * 32
KEY = b"k" * 32
LINK = "https://vendor.example/texts/o-1"
TAGS = "<script>alert(1)</script>"
SAID = {"decision": "approved", "reason": "assessed_first", "adverse": "no", "shown": ["text", "sources"], "hash": HASH}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit_log.api.deciding.PATIENCE_SECONDS", 0.0)


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A city whose outputs a test reviews."""
    made = city(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A city in which nothing is written; in it, p-reviewer has o-1 open since a minute."""
    made = city(tmp_path_factory.mktemp("still"))
    opened(made, sign_in(made, Sessions(), "p-reviewer"))
    yield made
    made.close()


def city(folder: Path) -> Program:
    """Outputs of every class, none of them reviewed but one."""
    made = Program(Settings(data_dir=folder / "var", log_origin="log.example/audit"))
    write_key(key_file(made.settings.data_dir, CONTENT_KEY), KEY)
    made.publish(*register_events(policies=(STRICT,), use_cases=STRICT_USE_CASES, mandates=MANDATES))
    made.publish(
        generated(content_hash=HASH, content_ref=LINK, length=900),
        *(generated(f"chat-{number}", use_case="chat", content_hash=HASH) for number in range(3)),
        *(generated(f"sum-{number}", use_case="summaries", content_hash=HASH) for number in range(5)),
        generated("early", when=at(-100), content_hash=HASH),
        generated("tags", unit=TAGS, use_case="chat"),
        generated("own", use_case="chat", requester="p-reviewer"),
        generated("bad", use_case="scoring"), generated("free", use_case="drafts"),
        generated("old", use_case="chat"), superseded("old", by="new"),
        generated("done", use_case="chat", content_hash=HASH), used("done", at(1)),
        reviewed("done", at(2), review="r-9"),
    )  # fmt: skip
    made.settle()
    while index_some(made.service.store):
        pass
    return made


@pytest.fixture
def reviewer(program: Program, sessions: Sessions) -> Person:
    return sign_in(program, sessions, "p-reviewer")


@pytest.fixture
def reader(still: Program, sessions: Sessions) -> Person:
    return sign_in(still, sessions, "p-reviewer")


def told(program: Program) -> list[Any]:
    events = [decode(record.value) for record in program.records(GOVERNANCE.name)]
    return [event for event in events if event.source == "valvomo/reviews"]


def nothing_waits(program: Program) -> bool:
    """Whether nothing is on its way to the bus."""
    return not program.service.store.pending(["bus"], at(9_999), 1)


def opened(program: Program, person: Person, output: str = "o-1") -> str:
    """Open an output on its page; the review that the page's form then names."""
    assert person.send("/reviews/open", {"output": output}).status_code == 303
    program.settle()
    program.clock.advance(timedelta(minutes=1))
    return review_in(person, output)


def review_in(person: Person, output: str = "o-1") -> str:
    """The open review that the form of a page names."""
    page = person.get("/reviews/output", id=output, lang="en").text
    found = re.search(r'name="review" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]


# The queue


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "path", ["/reviews", "/reviews?mine=1&use_case=chat", "/reviews/output?id=o-1", "/reviews/output?id=done",
             "/reviews/output?id=old", "/reviews/output?id=bad", "/reviews/output?id=tags"],
)  # fmt: skip
def test_pages_are_whole_in_every_language(reader: Person, path: str, language: str) -> None:
    answer = reader.http.get(path, params=None, headers={"accept-language": language})
    assert (answer.status_code, answer.headers["content-language"]) == (200, language)
    page = Outline(answer.text)
    assert page.headings.count("h1") == 1
    assert all(int(b[1]) <= int(a[1]) + 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    assert (page.unscoped, page.unlabelled) == (0, 0)
    assert TAGS not in answer.text


def test_what_is_late_comes_first_and_says_so(reader: Person) -> None:
    page = reader.get("/reviews", lang="en").text
    order = re.findall(r"/reviews/output\?id=([a-z0-9-]+)&amp;lang", page)
    assert order[0] == "early"
    assert "Overdue, was 12 Nov 2026 16:00" in page
    assert "By 17 Nov 2026 10:00" in page
    assert not {"bad", "free", "old", "done"} & set(order), "what waits for nobody"


def test_filters_and_pages_of_the_queue(reader: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit_log.api.queue._LINES", 2)
    link: str | None = "/reviews?lang=en&use_case=summaries"
    seen: list[str] = []
    while link:
        page = reader.http.get(link).text
        seen += re.findall(r"/reviews/output\?id=([a-z0-9-]+)&amp;lang", page)
        link = next((one for one in Outline(page).links if "after=" in one and "lang=en&use_case" in one), None)
    assert seen == [f"sum-{number}" for number in range(5)]


@pytest.mark.parametrize(
    "parameters",
    [
        {"state": "fine"}, {"risk_class": "odd"}, {"unit": "a\x00b"}, {"after": "o", "after_due": "soon"},
        {"after": "o", "after_due": "0001-01-01T00:00:00+14:00"},
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_read_is_said(reader: Person, parameters: dict[str, str]) -> None:
    page = reader.get("/reviews", lang="en", **parameters)
    assert (page.status_code, "was not understood" in page.text) == (200, True)
    assert reader.get("/api/v1/reviews/queue", **parameters).status_code == 422


def test_the_queue_for_programs(reader: Person) -> None:
    whole = reader.get("/api/v1/reviews/queue").json()
    assert (whole["open"], whole["overdue"], len(whole["outputs"])) == (12, 1, 12)
    assert whole["outputs"][0] == {
        "output_id": "early", "state": "overdue", "system": "now-assist", "unit": "kymp", "use_case": "benefits",
        "risk_class": "high_decision", "model": None, "content_hash": HASH, "generated_at": "2026-11-12T04:00:00Z",
        "due_at": "2026-11-12T14:00:00Z",
    }  # fmt: skip
    found: list[str] = []
    following: dict[str, str] | None = {}
    while following is not None:
        page = reader.get("/api/v1/reviews/queue", limit=5, **following).json()
        found += [one["output_id"] for one in page["outputs"]]
        following = page["next"]
    assert found == [one["output_id"] for one in whole["outputs"]]
    assert reader.get("/api/v1/reviews/queue", usecase="chat").status_code == 422


def test_who_may_not_review_is_told_why(still: Program, sessions: Sessions) -> None:
    nobody = sign_in(still, sessions, "p-nobody").get("/reviews", lang="en").text
    auditor = sign_in(still, sessions, "p-auditor", "auditor").get("/reviews", lang="en").text
    assert "The register has no mandate for you" in nobody
    assert "You may look at the queue but not decide" in auditor
    assert 'type="checkbox" name="output"' not in nobody + auditor
    viewer = sign_in(still, sessions, "p-viewer", "viewer")
    assert [
        viewer.get(path).status_code for path in ("/reviews", "/reviews/output?id=o-1", "/api/v1/reviews/queue")
    ] == ([403] * 3)


# One output


def test_what_an_output_is_and_where_its_text_is(reader: Person) -> None:
    page = reader.get("/reviews/output", id="o-1", lang="en").text
    assert f'href="{LINK}" target="_blank" rel="noopener noreferrer"' in page
    assert "Open the text at vendor.example" in page
    assert "The time is 8 business hours" in page
    assert "Each is reviewed by itself" in page
    assert HASH in page


def test_a_life_in_words_with_its_entries_and_proofs(reader: Person, still: Program) -> None:
    page = reader.get("/reviews/output", id="done", lang="en").text
    entries = [int(one) for one in re.findall(r'<th scope="row" class="n"><a href="/audit/entries/(\d+)\?', page)]
    assert entries == sorted(entries)
    for words in (
        "The output was made: now-assist",
        "The output was used: sent",
        "It was reviewed: Approved · p-reviewer",
    ):
        assert words in page
    still.sign()
    for link in Outline(page).links:
        if link.startswith(("/audit/entries", "/api/v1/log/proof", "/api/v1/outputs")):
            assert reader.http.get(link).status_code == 200, link
    whole = reader.get("/api/v1/outputs/one", id="done").json()
    assert [one["index"] for one in whole["entries"]] == entries
    assert (whole["state"], whole["reviews"][0]["standing"]) == ("approved", "valid")


def test_an_output_that_is_not_there(reader: Person) -> None:
    assert reader.get("/reviews/output", id="nothing").status_code == 404
    assert reader.get("/reviews/output").status_code == 422
    assert reader.get("/api/v1/outputs/one", id="nothing").status_code == 404


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("own", "Who asked for an output cannot review it"),
        ("bad", "The use is forbidden"),
        ("free", "No review is demanded of this output"),
        ("old", "A newer output has taken its place"),
    ],
)
def test_why_an_output_cannot_be_reviewed_is_said_before_and_after(reader: Person, output: str, why: str) -> None:
    page = reader.get("/reviews/output", id=output, lang="en").text
    assert why in page
    assert 'action="/reviews/open"' not in page
    refused = reader.send("/reviews/open", {"output": output})
    assert refused.status_code in {403, 409}
    assert why in refused.text


# Deciding


def test_a_decision_class_is_confirmed_before_anything_is_written(reviewer: Person, program: Program) -> None:
    review = opened(program, reviewer)
    page = reviewer.get("/reviews/output", id="o-1", lang="en").text
    assert not re.search(r"\s(checked|selected)[\s>]", page.partition("<main")[2]), "nothing is chosen beforehand"
    asked = reviewer.send("/reviews/decide", {**SAID, "output": "o-1", "review": review})
    assert (asked.status_code, "Confirm the decision" in asked.text) == (200, True)
    program.settle()
    assert len(told(program)) == 1, "only the opening"
    fields = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">', asked.text))
    fields["shown"] = re.findall(r'name="shown" value="([a-z_]+)"', asked.text)
    done = reviewer.send("/reviews/decide", fields)
    assert done.status_code == 303
    program.settle()
    assert program.states()["o-1"] == "approved"
    assert told(program)[-1].data.evidence_shown == ("text", "sources")
    assert "Recorded and in the log" in reviewer.http.get(done.headers["location"]).text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"decision": ""}, "Choose a decision"),
        ({"reason": ""}, "Choose the reason"),
        ({"reason": "wrong_facts"}, "does not go with this decision"),
        ({"adverse": ""}, "disadvantage"),
        ({"shown": []}, "what you had before you"),
        ({"shown": ["gossip"]}, "Something unknown"),
        ({"decision": "edited", "reason": "facts_corrected"}, "SHA-256 of the edited text"),
        ({"decision": "edited", "reason": "facts_corrected", "edited": "zz" * 32}, "SHA-256 of the edited text"),
        ({"hash": OTHER}, "no longer the one you saw"),
        ({"review": "f" * 64}, "Open the output for review first"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_written(
    reader: Person, still: Program, changes: dict[str, Any], why: str
) -> None:
    sent = {**SAID, "output": "o-1", "review": review_in(reader), "confirm": "yes", **changes}
    refused = reader.send("/reviews/decide", sent)
    assert refused.status_code in {409, 422}
    assert why in refused.text
    assert nothing_waits(still)


def test_a_decision_too_soon_is_refused(reader: Person, still: Program) -> None:
    sent = {**SAID, "output": "o-1", "review": review_in(reader), "confirm": "yes"}
    still.clock.advance(timedelta(seconds=-58))
    soon = reader.send("/reviews/decide", sent)
    still.clock.advance(timedelta(seconds=58))
    assert (soon.status_code, "too soon" in soon.text) == (409, True)


def test_an_edited_text_is_hashed_under_the_collector_s_key(reviewer: Person, program: Program) -> None:
    review, digest = opened(program, reviewer), sha256(b"as I left it").hexdigest()
    said = {**SAID, "decision": "edited", "reason": "facts_corrected", "edited": digest.upper(), "confirm": "yes"}
    assert reviewer.send("/reviews/decide", {**said, "output": "o-1", "review": review}).status_code == 303
    program.settle()
    made = told(program)[-1].data
    assert made.edited_content_hash == keyed_hash(KEY)(digest)
    assert (made.evidence, program.states()["o-1"]) == ("edited", "edited")


def test_without_the_key_no_edited_text_is_taken(reviewer: Person, program: Program) -> None:
    key_file(program.settings.data_dir, CONTENT_KEY).unlink()
    review = opened(program, reviewer)
    said = {**SAID, "decision": "edited", "reason": "facts_corrected", "edited": OTHER, "confirm": "yes"}
    refused = reviewer.send("/reviews/decide", {**said, "output": "o-1", "review": review})
    assert (refused.status_code, "lacks the key for texts" in refused.text) == (409, True)
    assert 'name="edited"' not in reviewer.get("/reviews/output", id="o-1").text


def test_an_opening_that_is_over_must_be_made_again(reviewer: Person, program: Program, sessions: Sessions) -> None:
    review = opened(program, reviewer)
    program.clock.advance(timedelta(minutes=31))
    late = reviewer.send("/reviews/decide", {**SAID, "output": "o-1", "review": review, "confirm": "yes"})
    assert (late.status_code, "Open it again" in late.text) == (409, True)
    other = sign_in(program, sessions, "p-second")
    assert other.send("/reviews/open", {"output": "o-1"}).status_code == 303
    program.settle()
    kept = reviewer.send("/reviews/open", {"output": "o-1"})
    assert (kept.status_code, "Another reviewer has opened this one" in kept.text) == (409, True)


def test_who_changes_their_mind_replaces_their_review(reviewer: Person, program: Program) -> None:
    first = opened(program, reviewer)
    reviewer.send("/reviews/decide", {**SAID, "output": "o-1", "review": first, "confirm": "yes"})
    program.settle()
    second = opened(program, reviewer)
    said = {**SAID, "decision": "rejected", "reason": "wrong_law"}
    assert reviewer.send("/reviews/decide", {**said, "output": "o-1", "review": second}).status_code == 303
    program.settle()
    assert (told(program)[-1].data.replaces, program.states()["o-1"]) == (first, "rejected")


def test_the_requester_under_another_pseudonym_is_still_the_requester(program: Program, sessions: Sessions) -> None:
    data = PseudonymJoining(old="p-twin", new="p-requester", joined_at=MONDAY)
    program.publish(PseudonymsJoined(id="join", source=SOURCE, subject="p-twin", time=MONDAY, data=data))
    program.settle()
    twin = sign_in(program, sessions, "p-twin")
    refused = twin.call("open", {"output_id": "o-1"})
    assert (refused.status_code, refused.json()["code"]) == (403, "self_review")


def test_a_role_for_another_unit_does_not_reach_here(program: Program, sessions: Sessions) -> None:
    for unit, status in (("sote", 403), ("kymp", 202)):
        person = sign_in(program, sessions, "p-reviewer", unit=unit)
        assert person.call("open", {"output_id": "o-1"}).status_code == status


# Several at once


def test_several_are_looked_at_before_they_are_decided(reviewer: Person, program: Program) -> None:
    names = ["sum-0", "sum-1", "sum-2"]
    looked = reviewer.send("/reviews/bulk", {"output": names})
    assert (looked.status_code, looked.text.count("Will do")) == (200, 3)
    program.settle()
    assert told(program) == []
    hashes = re.findall(r'name="hash" value="([0-9a-f]{64})"', looked.text)
    said = {"decision": "approved", "reason": "checked_by_list", "shown": ["text"], "confirm": "yes"}
    done = reviewer.send("/reviews/bulk", {"output": names, "hash": hashes, **said})
    assert (done.status_code, done.headers["location"]) == (303, "/reviews?lang=en&done=3")
    program.settle()
    assert {program.states()[name] for name in names} == {"approved"}
    assert {one.data.opened_at for one in told(program)} == {None}, "none was opened by itself"


@pytest.mark.parametrize(
    ("outputs", "code", "why"),
    [
        ([], "bulk_empty", "No output was selected"),
        (["o-1"], "bulk_never", "reviewed one by one"),
        (["sum-0", "chat-0"], "bulk_mixed", "one use case and one risk class"),
        ([f"sum-{number}" for number in range(5)], "bulk_too_many", "at most 3 are taken"),
        ([f"x-{number}" for number in range(10_000)], "bulk_too_many", "Found 10,000 selected; at most 200"),
        (["chat-0", "chat-0"], "bulk_ineligible", "will not do"),
        (["chat-0", "nothing"], "bulk_ineligible", "will not do"),
        (["chat-0", "own"], "bulk_ineligible", "will not do"),
    ],
)
def test_what_is_not_decided_at_once(reader: Person, still: Program, outputs: list[str], code: str, why: str) -> None:
    said = {"decision": "approved", "reason": "checked_by_list", "evidence_shown": ["text"]}
    refused = reader.call("bulk", {"outputs": [{"output_id": one, "content_hash": HASH} for one in outputs], **said})
    assert (refused.status_code // 100, refused.json()["code"]) == (4, code)
    assert why in refused.json()["detail"]
    assert nothing_waits(still)


# Who may


def test_forms_are_only_taken_from_our_pages_and_from_people(reader: Person, still: Program) -> None:
    assert reader.send("/reviews/open", {"output": "o-1"}, token="another").status_code == 403
    assert reader.call("open", {"output_id": "o-1"}, token="").status_code == 403
    elsewhere = {"origin": "https://evil.example", "x-form-token": "form-p-reviewer"}
    assert reader.http.post("/api/v1/reviews/open", json={"output_id": "o-1"}, headers=elsewhere).status_code == 403
    assert nothing_waits(still)


def test_an_auditor_and_a_stranger_decide_nothing(still: Program, sessions: Sessions) -> None:
    auditor = sign_in(still, sessions, "p-auditor", "auditor")
    stranger = Person(still, Sessions(), "p-reviewer")
    for path, document in (
        ("open", {"output_id": "o-1"}), ("decline", {"output_id": "o-1", "review_id": "r"}),
        ("decide", {"output_id": "o-1", "review_id": "r", "content_hash": HASH, "decision": "approved"}),
        ("bulk", {"outputs": [], "decision": "approved"}),
    ):  # fmt: skip
        assert auditor.call(path, document).status_code == 403, path
        assert stranger.call(path, document).status_code == 401, path
        assert auditor.send(f"/reviews/{path}", {}).status_code == 403, path
    assert nothing_waits(still)


@pytest.mark.parametrize("output", ["", "a\x00b", "x" * 200, "nothing"])
def test_what_can_be_no_output_is_none(reader: Person, output: str) -> None:
    assert reader.send("/reviews/open", {"output": output}).status_code == 404
    assert reader.send("/reviews/bulk", {"output": [output]}).status_code == 409


def test_the_script_hashes_and_sends_nothing(reader: Person) -> None:
    answer = reader.get("/reviews/hash.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "crypto.subtle.digest" in answer.text
    assert not re.search(r"fetch\(|XMLHttpRequest|sendBeacon|WebSocket|localStorage", answer.text)
    assert "script-src 'self'" in reader.get("/reviews").headers["content-security-policy"]


@pytest.mark.parametrize(
    ("link", "host"),
    [
        (LINK, "vendor.example"),
        ("https://\u0430\u0440\u0440\u04cf\u0435.com/text", "xn--80ak6aa92e.com"),
        ("https://s\xe4hk\xf6.example:8443/x", "xn--shk-qla6g.example"),
        ("https://" + "\xe4" * 70 + ".example/", "\\xe4" * 70 + ".example"),
        (None, None),
    ],
)
def test_the_host_of_a_link_is_told_as_the_network_knows_it(link: str | None, host: str | None) -> None:
    assert host_of(link) == host
