"""Every sentence of the verifier in three languages, from one file in this package (a zip archive may hold it)."""

import json
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Literal, cast

Language = Literal["fi", "sv", "en"]
LANGUAGES: tuple[Language, ...] = ("fi", "sv", "en")
DEFAULT: Language = "en"


@cache
def texts() -> Mapping[str, Mapping[Language, str]]:
    """Name → the text in each language."""
    data = pkgutil.get_data("services.verifier", "texts.json")
    return cast("Mapping[str, Mapping[Language, str]]", json.loads(data or b"{}"))


def told(language: Language, name: str, first: int | None = None, last: int | None = None, **values: str | int) -> str:
    """The text `name`. `{entries}` in it is "entry 300" or "entries 300 to 511"; other braces are `values`.

    Texts among the values may come from whoever wrote what is verified: they are made printable.
    """
    entries = "" if first is None else _entries(language, first, first if last is None else last)
    shown = {key: printable(value) if isinstance(value, str) else value for key, value in values.items()}
    return texts()[name][language].format(entries=entries, first=first, last=last, **shown)


def _entries(language: Language, first: int, last: int) -> str:
    name = "entry" if first == last else "entries"
    return texts()[name][language].format(first=first, last=last)


def printable(text: str) -> str:
    """Names in an export may be anybody's: none of them moves the cursor or starts a line of its own."""
    return "".join(character if character.isprintable() else "?" for character in text)
