"""`python -m services.verifier`, and what the zip archive runs."""

import sys

_UNVERIFIABLE = 2
"""An exit code is a verdict: where nothing could be examined it is this one, and never Python's own 1."""


def run() -> int:
    """The verifier's exit code, also where it cannot even begin."""
    if sys.version_info < (3, 11):  # noqa: UP036  # the archive is carried to other people's machines
        return _stopped(f"found Python {sys.version.split()[0]}, expected 3.11 or newer")
    try:
        from services.verifier.command import main  # noqa: PLC0415  # what is missing is to be told in a sentence
    except ImportError as error:
        return _stopped(
            f"found no usable module {error.name}, expected Python's `cryptography`: pip install cryptography"
        )
    try:
        return main()
    except Exception as error:  # noqa: BLE001  # a fault of ours must not look like damage
        return _stopped(
            f"a fault of this program ended it, nothing was shown; please report {type(error).__name__}: {error}"
        )


def _stopped(sentence: str) -> int:
    print(f"valvomo-verify: {ascii(sentence)[1:-1]}", file=sys.stderr)  # noqa: T201  # a program's words
    return _UNVERIFIABLE


if __name__ == "__main__":
    sys.exit(run())
