"""Every file that is made from code: `python tools/generate.py [--check]`.

A generator is a module with `files()`, and `obsolete()` for what it would no longer make. Add it to `GENERATORS`.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tools import dashboards, reference, schemas
from tools.generated import run


class Generator(Protocol):
    """A module that makes files."""

    def files(self) -> Mapping[Path, str]:
        """Path → text."""
        ...

    def obsolete(self) -> Sequence[Path]:
        """Files it made once and no longer makes."""
        ...


GENERATORS: tuple[Generator, ...] = (schemas, reference, dashboards)


def main(*, check: bool) -> int:
    """Bring every generated file up to date; the exit code."""
    return max(run(one.files(), one.obsolete(), check=check) for one in GENERATORS)


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
