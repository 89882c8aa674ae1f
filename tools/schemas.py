"""The files under `docs/` made from the models of events and public documents: `python -m tools.schemas [--check]`."""

import json
import sys
from pathlib import Path

import yaml

from services.audit_log.domain.ai_register.public import public_schema
from tools.asyncapi import asyncapi, schemas
from tools.generated import run

DOCS = Path(__file__).parent.parent / "docs"
HEADER = "# Made from the event models by `make schemas`; do not edit.\n"


def files() -> dict[Path, str]:
    """Path → text of every generated file."""
    made = {DOCS / "schemas" / f"{name}.json": _json(schema) for name, schema in schemas().items()}
    text = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    public = {DOCS / "schemas" / "public" / "ai-register.schema.json": _json(public_schema())}
    return {DOCS / "asyncapi.yaml": HEADER + text, **made, **public}


def obsolete() -> list[Path]:
    """Schemas of event types that are no more."""
    made = files()
    return [path for path in sorted((DOCS / "schemas").rglob("*.json")) if path not in made]


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(run(files(), obsolete(), check="--check" in sys.argv[1:]))
