"""The demo's city behind a door: who may sign in, and how a browser does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.end_to_end.program import Program

Who = Literal["reviewer", "editor", "auditor", "admin"]
PATIENCE_MILLISECONDS = 20_000


@dataclass(frozen=True)
class City:
    """A program at work, the demo's accounts by what they are, its stories, and a token that may do everything."""

    program: Program
    accounts: Mapping[str, Mapping[str, str]] = field(repr=False)
    stories: Mapping[str, Any] = field(repr=False)
    token: str = field(repr=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.program.port}"

    @contextmanager
    def visited(self, browser: Browser, language: str = "en") -> Iterator[BrowserContext]:
        """A browser that nobody has used."""
        context = browser.new_context(
            base_url=self.address, locale=language, viewport={"width": 1280, "height": 900}, service_workers="block"
        )
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        try:
            yield context
        finally:
            context.close()

    def sign_in(self, page: Page, who: Who, wanted: str) -> None:
        """Ask for a page, be sent to the door, and come in: on the page that was wanted."""
        page.goto(wanted)
        assert "/sign-in" in page.url, f"{wanted} was shown to nobody known"
        page.fill("#login", self.accounts[who]["login"])
        page.fill("#password", self.accounts[who]["password"])
        page.click("form[action^='/sign-in'] button[type=submit]")
        page.wait_for_url(f"**{wanted}")


@contextmanager
def pictured(context: BrowserContext, folder: Path) -> Iterator[Page]:
    """A page; when its test fails, a picture of it is kept in `folder`."""
    page = context.new_page()
    try:
        yield page
    except BaseException:
        page.screenshot(path=folder / "failed.png", full_page=True)
        raise


def opened_output(page: Page) -> str:
    """Open the first output of the queue that this person may review; its id."""
    page.select_option("select[name=use_case]", "tyollisyys-palvelutarve")
    page.check("input[name=mine]")
    page.locator("form[action='/reviews'] button").click()
    links = [link.get_attribute("href") for link in page.locator("section#outputs tbody th a").all()]
    assert links, "nothing waits for this reviewer"
    for link in links:
        page.goto(link or "")
        button = page.locator("form[action='/reviews/open'] button")
        if button.count():
            button.click()
            expect(page.locator("form[action='/reviews/decide']")).to_be_visible()
            return page.locator("form[action='/reviews/decide'] input[name=output]").input_value()
    raise AssertionError(f"none of {len(links)} outputs can be opened")
