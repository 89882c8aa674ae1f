"""One case per sentence with which a register folder is refused; the cases are files, so that anybody can add one."""

from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from services.usage_collector.register.folder import load_folder
from services.usage_collector.register.problems import Code, RegisterRefusedError

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
TODAY = date(2026, 11, 22)
SMALLEST = {
    "units.yaml": "- {id: city, name: {en: City}, valid_from: 2026-01-01}\n"
    "- {id: kymp, parent: city, name: {fi: Kymp}, valid_from: 2026-01-01}\n",
    "systems.yaml": "- {id: api, vendor: anthropic, name: API, owner: ict}\n",
}


def read_case(path: Path) -> dict[str, Any]:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(case, dict)
    return case


def write_folder(folder: Path, files: dict[str, str | None], encoding: str = "utf-8") -> Path:
    for name, text in {**SMALLEST, **files}.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding=encoding)
    return folder


def test_the_smallest_folder_is_not_refused(tmp_path: Path) -> None:
    assert len(load_folder(write_folder(tmp_path, {}), today=TODAY).facts) == 3


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in CASES])
def test_is_refused_with_the_sentence_of_the_case(path: Path, tmp_path: Path) -> None:
    case = read_case(path)
    folder = write_folder(tmp_path, case["files"], case.get("encoding", "utf-8"))
    with pytest.raises(RegisterRefusedError) as refused:
        load_folder(folder, today=TODAY)
    assert [str(problem) for problem in refused.value.problems] == case["says"], case["why"]
    assert {problem.code for problem in refused.value.problems} == {case["code"]}


def test_every_reason_for_refusing_has_a_case() -> None:
    # A folder that is not there cannot be written as a file of a case; the test below has it.
    assert {read_case(path)["code"] for path in CASES} == set(get_args(Code)) - {"not-a-folder"}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RegisterRefusedError, match=r"nowhere:1: found no folder; expected the register folder"):
        load_folder(tmp_path / "nowhere", today=TODAY)


def test_a_file_without_end_is_not_read_into_memory_as_yaml(tmp_path: Path) -> None:
    write_folder(tmp_path, {"budgets.yaml": "#" * 10_000_001})
    with pytest.raises(RegisterRefusedError, match=r"budgets.yaml:1: found 10000001 bytes; expected at most 10000000"):
        load_folder(tmp_path, today=TODAY)


def test_brackets_without_end_end_nothing_but_the_file(tmp_path: Path) -> None:
    write_folder(
        tmp_path, {"budgets.yaml": "- " * 100_000 + "x\n", "policy.yaml": "- {a: " + "[" * 1_000 + "]" * 1_000 + "}"}
    )
    with pytest.raises(RegisterRefusedError) as refused:
        load_folder(tmp_path, today=TODAY)
    assert [(problem.file, problem.code) for problem in refused.value.problems] == [
        ("budgets.yaml", "not-yaml"),
        ("policy.yaml", "not-yaml"),
    ]


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    cases = [read_case(CASES_BY_NAME[name]) for name in ("norway", "money-as-float", "falling-thresholds", "short-row")]
    files = {name: text for case in cases for name, text in case["files"].items()}
    with pytest.raises(RegisterRefusedError) as refused:
        load_folder(write_folder(tmp_path, files), today=TODAY)
    told = {str(problem) for problem in refused.value.problems}
    assert told >= {sentence for case in cases for sentence in case["says"]}
    assert str(refused.value).endswith("problems; nothing was published")


def test_no_sentence_names_a_person(tmp_path: Path) -> None:
    rows = (
        "person,unit,valid_from,valid_to,also",
        "aino@c.example,nowhere,2026-13-01,,u-77",
        "aino@c.example,city,2026-01-01,,",
    )
    people = "\n".join(rows)
    reviewers = "- {reviewer: aino@c.example, unit: nowhere, valid_from: yesterday}\n"
    with pytest.raises(RegisterRefusedError) as refused:
        load_folder(write_folder(tmp_path, {"people.csv": people, "reviewers.yaml": reviewers}), today=TODAY)
    assert len(refused.value.problems) >= 2
    assert "aino" not in str(refused.value).lower()
    assert "u-77" not in str(refused.value)


CASES_BY_NAME = {path.stem: path for path in CASES}
