"""Make the verifier that runs alone: one file for any Python 3.11 or newer that has `cryptography`.

    python -m tools.verifier --output dist/valvomo-verify.pyz

The same sources give the same bytes (nothing is compressed: libraries differ in that), so that who received the file
can make it again and compare.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "dist" / "valvomo-verify.pyz"

_FOLDERS = ("services/shared/tlog", "services/verifier")
_EMPTY = ("services/__init__.py", "services/shared/__init__.py")
"""Ours hold the version and words about packages that are not in the archive."""
_MAIN = b"import sys\n\nfrom services.verifier.__main__ import run\n\nsys.exit(run())\n"
_SHEBANG = b"#!/usr/bin/env python3\n"
_TIME = (2026, 1, 1, 0, 0, 0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the verifier that runs alone.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: %(default)s")
    output: Path = parser.parse_args(arguments).output
    build(output)
    print(f"{output}: {output.stat().st_size} bytes, SHA-256 {sha256(output.read_bytes()).hexdigest()}")
    return 0


def build(output: Path) -> None:
    """Write the archive."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        file.write(_SHEBANG)
        with ZipFile(file, "w", ZIP_STORED) as archive:
            for name, data in sorted(_members()):
                archive.writestr(_info(name), data)
    output.chmod(0o755)


def _members() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _MAIN
    yield from ((name, b"") for name in _EMPTY)
    for folder in _FOLDERS:
        for path in (ROOT / folder).iterdir():
            if path.suffix in {".py", ".json"}:
                yield f"{folder}/{path.name}", path.read_bytes()


def _info(name: str) -> ZipInfo:
    """Times and rights do not come from this machine."""
    info = ZipInfo(name, _TIME)
    info.compress_type, info.create_system, info.external_attr = ZIP_STORED, 3, 0o644 << 16
    return info


if __name__ == "__main__":
    sys.exit(main())
