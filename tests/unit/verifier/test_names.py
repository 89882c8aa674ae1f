"""Names that are there twice are found, whether they fit into memory or not."""

import errno
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verifier import names as module
from services.verifier.look import NO_NAME, name_of
from services.verifier.names import Names, NoRoomError
from services.verifier.verify import UNVERIFIABLE, verify
from tests.unit.verifier.exports import SIGNER, START, entry, export


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_BYTES", 3 * 24)


def repeated(numbers: list[int]) -> list[list[int]]:
    with Names() as names:
        for at in range(0, len(numbers), 7):
            names.add(b"".join(name_of("s", str(number)) for number in numbers[at : at + 7]), at)
        return sorted(names.repeated())


@given(st.lists(st.integers(0, 30), max_size=60))
def test_every_repeated_name_with_all_its_places(numbers: list[int]) -> None:
    places = {number: [at for at, other in enumerate(numbers) if other == number] for number in numbers}
    assert repeated(numbers) == sorted(found for found in places.values() if len(found) > 1)


@pytest.mark.usefixtures("little_memory")
def test_files_give_what_memory_gives() -> None:
    """Some of a bucket is in its file, and the rest still in memory."""
    assert repeated([*range(2_000), 3, 1_999, 3]) == [[3, 2_000, 2_002], [1_999, 2_001]]


def test_entries_without_a_name_are_not_the_same() -> None:
    with Names() as names:
        names.add(NO_NAME * 5, 0)
        assert list(names.repeated()) == []


def test_names_of_two_sources_do_not_run_into_each_other() -> None:
    assert len({name_of("a", "bc"), name_of("ab", "c"), name_of("", "abc"), name_of("3:a", "bc")}) == 4


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch, little_memory: None) -> None:
    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())


@pytest.mark.usefixtures("full_disk")
def test_a_full_temporary_folder_is_a_sentence_and_hides_no_damage() -> None:
    with Names() as names, pytest.raises(NoRoomError, match="No space left on device"):
        names.add(name_of("s", "1") * 3, 0)
    entries = [entry(index) for index in range(600)]
    files = export(entries)
    report = verify(files.get, [], SIGNER.key, now=START + timedelta(days=1))
    assert (report.exit, [one.kind for one in report.damage]) == (UNVERIFIABLE, ["unreadable"])
    assert "set TMPDIR" in report.damage[0].sentence
    files["tile/0/001"] = files["tile/0/000"]
    assert {one.kind for one in verify(files.get, [], SIGNER.key, now=START).damage} == {"unreadable", "tile"}
