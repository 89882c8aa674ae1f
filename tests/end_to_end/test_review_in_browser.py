"""Somebody reviews an output in a browser; an auditor finds the one that nobody has reviewed, and proves it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.simulator.matters import USED_UNREVIEWED
from tests.end_to_end.city import City, opened_output, pictured

DWELL_SECONDS = 5
"""No decision about a person counts that was made sooner after opening: the city's policy."""


@pytest.fixture
def page(city: City, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    with city.visited(browser) as context, pictured(context, tmp_path) as found:
        yield found


def test_a_reviewer_signs_in_and_reviews(city: City, page: Page) -> None:
    city.sign_in(page, "reviewer", "/reviews")
    output = opened_output(page)

    form = page.locator("form[action='/reviews/decide']")
    form.locator("input[name=shown]").first.check()
    form.locator("input[name=decision][value=approved]").check()
    form.locator("select[name=reason]").select_option(index=1)
    form.locator("input[name=adverse][value=no]").check()
    page.wait_for_timeout(1000 * DWELL_SECONDS + 500)  # the time that the policy wants a person to take
    form.locator("button").click()
    expect(page.locator("h1")).to_contain_text("Confirm")
    page.locator("form[action='/reviews/decide'] button").click()

    expect(page.locator("section#reviews tbody tr").last).to_contain_text("approved", ignore_case=True)
    said = city.program.command(
        "audit", "query", "--output", output, "--type", "valvomo.ai.review.decided.v1", "--json"
    )
    assert '"made_in":"valvomo"' in re.sub(r"\s|\\", "", said)


def test_one_click_decides_nothing_about_a_person(city: City, page: Page) -> None:
    city.sign_in(page, "reviewer", "/reviews")
    assert page.locator("section#outputs form button[name=decision]").count() == 0
    assert page.locator("section#outputs input[type=checkbox]").count() == 0  # no bulk of this class


def test_an_auditor_finds_what_nobody_has_reviewed_and_verifies_it(city: City, page: Page) -> None:
    city.sign_in(page, "auditor", "/findings")
    page.select_option("select[name=kind]", "used_unreviewed")
    page.select_option("select[name=severity]", "severe")
    page.locator("form[action^='/findings#list'] button").click()
    page.locator("section#list tbody a", has_text=USED_UNREVIEWED).first.click()

    expect(page.locator("h1")).to_contain_text(USED_UNREVIEWED)
    expect(page.locator("section#reviews table")).to_have_count(0)
    life = page.locator("section#life tbody tr")
    kinds = [row.locator("td").nth(1).inner_text() for row in life.all()]
    assert len(kinds) >= 3  # made, demanded, used, found
    entry = page.locator("section#findings tbody a").first
    entry.click()

    key = city.program.command("audit", "key").split()[0]
    assert verified(page, key) == "good"


def test_a_key_of_somebody_else_proves_nothing(city: City, page: Page) -> None:
    city.sign_in(page, "auditor", "/audit/entries/1")
    name, _, rest = city.program.command("audit", "key").split()[0].partition("+")
    other = f"{name}.other+{rest}"
    assert verified(page, other) == "bad"


def verified(page: Page, key: str) -> str:
    """What the page says about its entry after the button was pressed."""
    part = page.locator("section#verify")
    verdict = part.locator("[data-verdict]")
    page.fill("input[name=key]", key)
    before = verdict.inner_text()
    part.locator("button").click()
    expect(verdict).not_to_have_text(before)
    said = verdict.inner_text()
    for name in ("good", "bad", "open"):
        if said == part.get_attribute(f"data-{name}"):
            return name
    return "failed"


def test_signing_out_ends_it(city: City, page: Page) -> None:
    city.sign_in(page, "editor", "/reviews")
    page.goto("/account")
    page.locator("form[action^='/sign-out'] button").click()
    page.goto("/reviews")
    assert "/sign-in" in page.url


def test_a_reviewer_is_shown_no_findings_to_settle(city: City, page: Page) -> None:
    city.sign_in(page, "reviewer", "/findings")
    assert page.locator("form[action^='/findings/settle']").count() == 0
    assert page.goto("/governance/report").status == 403  # type: ignore[union-attr]  # a page that answers
