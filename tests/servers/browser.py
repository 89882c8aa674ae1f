"""Chromium as it is installed on this machine, led by Playwright, which never downloads one here."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.servers.roll import ServerUnavailableError

NAMES = ("chromium", "chromium-browser", "google-chrome-stable")
FLAGS: Sequence[str] = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""A browser that asks nobody for anything but the pages of a test. Without a sandbox, because CI may run as root."""


def chromium_program() -> Path:
    """Find Chromium.

    Raises:
        ServerUnavailableError: it is not on PATH.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise ServerUnavailableError(f"none of {', '.join(NAMES)} is on PATH: install Debian's package chromium")
    return Path(found)


def version_of(path: Path) -> str:
    """Return the browser's version, as in "150.0.7204.92"."""
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    return next(word for word in answer.stdout.split() if word[0].isdigit())


@contextmanager
def browsing(path: Path) -> Iterator[Browser]:
    """A browser without a window; every context of it begins without cookies."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
