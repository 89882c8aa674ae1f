"""The reference pages that are made from code, of settings and metrics: `python -m tools.reference [--check]`."""

import sys
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.shared.metrics import ALL
from services.shared.settings import Settings
from tools.generated import run

DOCS = Path(__file__).parent.parent / "docs"

_SETTINGS = """# Settings

Made from `services/shared/settings.py` by `make generated`; do not edit.

Read from the environment, then from `valvomo.toml` in the working folder (there without the prefix, in small
letters). An unknown name in the file, or a value that cannot be, stops the program with a sentence that names it.

| setting | meaning | default |
|---|---|---|
"""
_METRICS = """# Metrics

Made from `services/shared/metrics.py` by `make generated`; do not edit.

`GET /metrics` tells them in the Prometheus text format. Money is read from the ledger at that moment.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def files() -> dict[Path, str]:
    """Path → text of both pages."""
    settings = "".join(_setting(name, field) for name, field in Settings.model_fields.items())
    metrics = "".join(
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |\n"
        for metric in sorted(ALL, key=lambda metric: metric.name)
    )
    return {DOCS / "settings.md": _SETTINGS + settings, DOCS / "metrics.md": _METRICS + metrics}


def obsolete() -> list[Path]:
    """None: both pages stay."""
    return []


def _setting(name: str, field: FieldInfo) -> str:
    default = field.get_default()
    shown = "" if default in (None, (), PydanticUndefined) else f"`{default}`"
    hidden = "SecretStr" in str(field.annotation)
    text = (field.description or "").replace("|", "\\|") + (" (secret)" if hidden else "")
    return f"| `VALVOMO_{name.upper()}` | {text} | {'`sqlite`' if name == 'store' else shown} |\n"


if __name__ == "__main__":
    sys.exit(run(files(), obsolete(), check="--check" in sys.argv[1:]))
