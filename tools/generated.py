"""Writing generated files, or telling which of them are not what the code makes."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def stale(files: Mapping[Path, str], obsolete: Sequence[Path] = ()) -> list[Path]:
    """The files that are missing, differ from what the code makes, or should not be there."""
    differing = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return [*differing, *obsolete]


def run(files: Mapping[Path, str], obsolete: Sequence[Path] = (), *, check: bool = False) -> int:
    """Write the files that need it, or with `check` only name them. The exit code: 1 when a check found any."""
    changed = stale(files, obsolete)
    for path in changed:
        print(("out of date: " if check else "written: ") + str(path))
        if not check:
            _bring_up_to_date(path, files.get(path))
    return int(check and bool(changed))


def _bring_up_to_date(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
