"""Jinja templates of all services, each of its own name: text as it is, HTML escaped, a missing value an error."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

_FOLDERS = tuple(sorted(Path(__file__).parents[2].glob("*/web/templates")))


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDERS),
        autoescape=select_autoescape(enabled_extensions=("html", "html.jinja"), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, **values: object) -> str:
    """A template of a service's `web/templates/` with its values."""
    return _environment().get_template(template).render(**values)
