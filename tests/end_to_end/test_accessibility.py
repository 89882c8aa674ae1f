"""axe-core finds nothing serious on the pages that people use, in the three languages of the program."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page

from services.simulator.matters import USED_UNREVIEWED
from tests.end_to_end.city import City, Who, opened_output, pictured

GRAVE = {"serious", "critical"}
LANGUAGES = ("fi", "sv", "en")
IN_THE_DARK = "sv"
"""One of the languages is looked at with the dark colours: words and colours have nothing to do with each other."""
FOR_ANYBODY = ("/sign-in", "/public/ai-register")
FOR_AUDITORS = (
    "/",
    "/foresight",
    "/ledger",
    "/account",
    "/reviews",
    f"/reviews/output?id={USED_UNREVIEWED}",
    "/findings",
    "/findings?kind=used_unreviewed&state=all",
    "/ai-register",
    "/ai-register/use-case?id=tyollisyys-palvelutarve",
    "/incidents",
    "/governance/report",
    "/governance/report?quarter=QUARTER",
    "/audit",
    "/audit/entries/1",
)
OPTIONS: dict[str, Any] = {"resultTypes": ["violations"]}


class Visitor:
    """A page of a browser with somebody signed in, who looks at one page after the other."""

    def __init__(self, city: City, page: Page) -> None:
        self.city, self.page = city, page
        self._axe = Axe()

    def faults(self, path: str, language: str) -> list[str]:
        """What axe finds grave on a page, with the first place of each."""
        self.page.emulate_media(color_scheme="dark" if language == IN_THE_DARK else "light")
        answer = self.page.goto(in_language(path, language))
        assert answer is not None
        assert answer.status == 200, f"{path} answers {answer.status}"
        assert self.page.locator("html").get_attribute("lang") == language
        return self.faults_here()

    def faults_here(self) -> list[str]:
        found = self._axe.run(self.page, options=OPTIONS).response["violations"]
        return [
            f"{one['id']} ({one['impact']}): {one['help']}; {len(one['nodes'])} places, first {one['nodes'][0]['html']}"
            for one in found
            if one["impact"] in GRAVE
        ]

    def has_one_heading(self) -> bool:
        return self.page.locator("h1").count() == 1


def in_language(path: str, language: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}lang={language}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def anybody(city: City, browser: Browser, folder: Path) -> Iterator[Visitor]:
    with city.visited(browser) as context, pictured(context, folder) as page:
        yield Visitor(city, page)


@pytest.fixture(scope="module")
def auditor(city: City, browser: Browser, folder: Path) -> Iterator[Visitor]:
    yield from _somebody(city, browser, folder, "auditor")


@pytest.fixture(scope="module")
def reviewer(city: City, browser: Browser, folder: Path) -> Iterator[Visitor]:
    yield from _somebody(city, browser, folder, "reviewer")


def _somebody(city: City, browser: Browser, folder: Path, who: Who) -> Iterator[Visitor]:
    with city.visited(browser) as context, pictured(context, folder) as page:
        city.sign_in(page, who, "/reviews")
        yield Visitor(city, page)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", FOR_ANYBODY)
def test_what_everybody_sees(anybody: Visitor, path: str, language: str) -> None:
    assert anybody.faults(path, language) == []
    assert anybody.has_one_heading()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", FOR_AUDITORS)
def test_what_an_auditor_sees(auditor: Visitor, city: City, path: str, language: str) -> None:
    quarter = city.stories["sampled_outputs"]["period"]
    assert auditor.faults(path.replace("QUARTER", quarter), language) == []
    assert auditor.has_one_heading()


@pytest.fixture(scope="module")
def held(reviewer: Visitor) -> str:
    """An output that the reviewer has opened: its page shows the form."""
    return opened_output(reviewer.page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_reviewer_sees(reviewer: Visitor, held: str, language: str) -> None:
    assert reviewer.faults("/reviews?mine=1", language) == []
    assert reviewer.faults(f"/reviews/output?id={held}", language) == []
    form = reviewer.page.locator("form[action='/reviews/decide']")
    form.locator("input[name=decision][value=rejected]").check()
    decisions = [one.get_attribute("value") for one in form.locator("input[name=decision]").all()]
    fitting = form.locator("select[name=reason] optgroup").nth(decisions.index("rejected")).locator("option").first
    form.locator("select[name=reason]").select_option(value=fitting.get_attribute("value"))
    form.locator("button").click()
    assert reviewer.faults_here() == []
    assert reviewer.has_one_heading()
