"""Every test, in two processes side by side: many wait for a server or a disk, and two cores are there for it.

    python -m tools.tests [ARGUMENTS OF PYTEST]

With arguments, one plain pytest runs with them. Exit code: of the first half that failed, else 0.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
FIRST = ("contract", "crash")
"""The folders of one half, about as long as all others together."""


def main() -> int:
    """Run what the command line asks for; the exit code."""
    if sys.argv[1:]:
        return subprocess.call(_pytest(sys.argv[1:]))  # the arguments of who runs it
    with tempfile.TemporaryFile() as said:
        other = subprocess.Popen(_pytest(_folders(first=False)), stdout=said, stderr=subprocess.STDOUT)
        try:
            codes = [subprocess.call(_pytest(_folders(first=True))), other.wait()]
        finally:
            other.kill()  # only where this process is interrupted: it has ended by now
        said.seek(0)
        sys.stdout.buffer.write(said.read())
    return next((code for code in codes if code), 0)


def _folders(*, first: bool) -> list[str]:
    """The folders of one half; a new folder falls to the second by itself."""
    found = sorted(path for path in TESTS.iterdir() if next(path.rglob("test_*.py"), None))
    return [str(path) for path in found if (path.name in FIRST) == first]


def _pytest(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


if __name__ == "__main__":
    sys.exit(main())
