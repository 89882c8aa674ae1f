"""`valvomo ai-register`: take the public AI register out, as files that anybody may serve."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from services.audit_log.adapters.ai_register.view import is_refold_due, read_view
from services.audit_log.cli.opening import AsJson, opened
from services.audit_log.domain.ai_register.view import View
from services.audit_log.web.public_register import public_page, public_register
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.settings import load_settings
from services.shared.store import Store
from services.shared.web.words import DEFAULT, LANGUAGES, Language

app = typer.Typer(no_args_is_help=True, help="The AI register, for everybody.")

JSON_FILE = "ai-register.json"
PAGES: Mapping[Language, str] = {one: "index.html" if one == DEFAULT else f"index.{one}.html" for one in LANGUAGES}


@app.callback()
def ai_register() -> None:
    """The AI register, for everybody."""


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="made when it is not there", file_okay=False)], as_json: AsJson = False
) -> None:
    """Write the public AI register: ai-register.json, and a page in each of three languages.

    Only use cases in production with `public: true`; no persons, no small numbers. Each file is replaced whole, so a
    web server may serve the folder meanwhile. The pages need nothing else; the JSON's schema is
    docs/schemas/public/ai-register.schema.json.

    Exit codes: 0 written, 2 the log has no register, or the folder cannot be used.

    Example: valvomo ai-register export /srv/www/ai-register
    """
    settings = load_settings()
    with opened(settings) as store:
        view = _published(store)
    register = public_register(view, settings.public_contact)
    files = {JSON_FILE: register.model_dump_json(indent=1) + "\n"}
    files |= {name: public_page(register, language, PAGES, JSON_FILE) for language, name in PAGES.items()}
    write_files(folder, files)
    told = {"folder": str(folder), "use_cases": len(register.use_cases), "files": sorted(files)}
    print(json.dumps(told) if as_json else f"{len(register.use_cases)} use cases in {folder}")  # noqa: T201


def _published(store: Store) -> View:
    """The register as it stands.

    Raises:
        ConfigurationError: the log has none: what is served now must not give way to an empty page.
    """
    with store.reading() as connection:
        waits = is_refold_due(connection)
    view = read_view(store, SystemClock().now())
    if waits or not view.units:
        raise ConfigurationError(
            "the log has no register yet, so nothing was written: check VALVOMO_DATA_DIR or VALVOMO_STORE, publish the "
            "register (valvomo register publish), and let the program run until it is caught up"
        )
    return view


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write each file whole or not at all, readable by everybody.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            _replace(folder / name, text)
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: the register cannot be written there ({error.strerror}); name a folder that you may write"
        ) from None


def _replace(path: Path, text: str) -> None:
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(made).chmod(0o644)
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
