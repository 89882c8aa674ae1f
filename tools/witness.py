"""Packs the witness as one file: `make witness`, then `python3 valvomo-witness.pyz --help` where `cryptography` is."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "dist" / "valvomo-witness.pyz"
_START = """import sys

from services.witness.__main__ import main

sys.exit(main(program="valvomo-witness"))
"""
_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can name: the same sources give the same bytes."""


def sources() -> Iterator[Path]:
    """The witness, the formats it shares with the log, and the packages around them."""
    yield from (ROOT / "services" / "__init__.py", ROOT / "services" / "shared" / "__init__.py")
    yield from sorted((ROOT / "services" / "shared" / "tlog").glob("*.py"))
    yield from sorted(path for path in (ROOT / "services" / "witness").glob("*.py") if path.name != "cli.py")


def pack(target: Path) -> None:
    """Write the file. `target` is replaced; its folder is made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(_SHEBANG)
        with ZipFile(file, "w", ZIP_DEFLATED) as archive:
            for path in sources():
                archive.writestr(_info(str(path.relative_to(ROOT))), path.read_bytes())
            archive.writestr(_info("__main__.py"), _START)
    target.chmod(0o755)


def _info(name: str) -> ZipInfo:
    info = ZipInfo(name, _EPOCH)
    info.compress_type = ZIP_DEFLATED
    return info


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=TARGET, help="the file to write (default: %(default)s)")
    pack(parser.parse_args().target)
