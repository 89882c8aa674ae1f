"""Every test, in two processes side by side: many wait for a server or a disk, and two cores are there for it.

    python -m tools.tests [ARGUMENTS OF PYTEST]

With arguments, one plain pytest runs with them. Exit code: of the first half that failed, else 0.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, STDOUT, call, run

TESTS = Path(__file__).parent.parent / "tests"
FIRST = ("contract", "crash", "golden", "servers")
"""The folders of one half, about as long as all others together."""


def main() -> int:
    """Run what the command line asks for; the exit code."""
    if sys.argv[1:]:
        return call(_pytest(sys.argv[1:]))
    with ThreadPoolExecutor(1) as beside:
        # By a pipe: what is said into a file would end where a test of a full disk limits how long files may be.
        other = beside.submit(run, _pytest(_folders(first=False)), stdout=PIPE, stderr=STDOUT, check=False)
        code = call(_pytest(_folders(first=True)))
        sys.stdout.buffer.write(other.result().stdout)
    return code or other.result().returncode


def _folders(*, first: bool) -> list[str]:
    """The folders of one half; a new folder falls to the second by itself."""
    found = sorted(path for path in TESTS.iterdir() if next(path.rglob("test_*.py"), None))
    return [str(path) for path in found if (path.name in FIRST) == first]


def _pytest(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


if __name__ == "__main__":
    sys.exit(main())
