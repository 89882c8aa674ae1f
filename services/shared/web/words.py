"""Every text that people read, in three languages, and how money, shares and days are written in each."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, format_percent

from services.shared.periods import HELSINKI, Month

Language = Literal["fi", "sv", "en"]
LANGUAGES: tuple[Language, ...] = ("fi", "sv", "en")
DEFAULT: Language = "fi"
_LOCALES: Mapping[Language, str] = {"fi": "fi_FI", "sv": "sv_FI", "en": "en_GB"}
_SERVICES = Path(__file__).parents[2]
TEXT_FILES: Sequence[Path] = tuple(sorted(_SERVICES.glob("*/web/*.yaml")))
"""Every service's texts; a name is given once among them all."""
_TENTH, _HUNDREDTH, _THOUSANDTH = Decimal("0.1"), Decimal("0.01"), Decimal("0.001")
_WEIGHT = re.compile(r"q=([01](?:\.[0-9]{0,3})?)", re.ASCII)


def preferred(accept_language: str | None) -> Language:
    """The first of our languages that a browser's Accept-Language asks for (RFC 9110, 12.5.4); else Finnish."""
    asked = [_asked(part) for part in (accept_language or "").split(",")]
    for _, tag in sorted((one for one in asked if one[0] < 0), key=lambda one: one[0]):
        if tag in LANGUAGES:
            return tag
    return DEFAULT


def _asked(part: str) -> tuple[float, str]:
    """(minus the weight, primary tag): sorts by preference, and a stable sort keeps the order of equals."""
    tag, *parameters = (one.strip().lower() for one in part.split(";"))
    found = next((_WEIGHT.fullmatch(one) for one in parameters), None)
    weight = float(found[1]) if found else float(not parameters)
    return -weight, tag.partition("-")[0]


def name_in(language: Language, names: Mapping[Any, str] | str, otherwise: str) -> str:
    """A name in one language, or in the first that there is, or `otherwise`."""
    if isinstance(names, str):
        return names
    return next((names[one] for one in (language, *LANGUAGES) if one in names), otherwise)


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    texts: dict[str, Mapping[str, str]] = {}
    for path in TEXT_FILES:
        texts.update(yaml.safe_load(path.read_text(encoding="utf-8")))
    return texts


def text_names() -> Sequence[str]:
    """The names of all texts."""
    return tuple(_texts())


class Words:
    """One language: `words("budget")` is a text, the other methods write values."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._locale = _LOCALES[language]

    def __call__(self, text: str, /, **values: object) -> str:
        """A text with its `{gaps}` filled.

        Raises:
            KeyError: there is no such text, or a gap has no value.
        """
        return _texts()[text][self.language].format(**values)

    def name(self, names: Mapping[Any, str] | str, otherwise: str) -> str:
        return name_in(self.language, names, otherwise)

    def money(self, amount: Decimal) -> str:
        """Euro and cents, rounded half-even for the eye."""
        return format_currency(amount, "EUR", locale=self._locale)

    def change(self, amount: Decimal) -> str:
        """Euro and cents with a sign, but for nought."""
        text = self.money(amount)
        return f"+{text}" if amount > 0 and text != self.money(Decimal()) else text

    def price(self, amount: Decimal, currency: str) -> str:
        """An amount of a currency, with as many decimals as a price per unit needs."""
        pattern = Locale.parse(self._locale).currency_formats["standard"].pattern.replace(".00", ".00####")
        return format_currency(amount, currency, pattern, locale=self._locale, currency_digits=False)

    def quantity(self, amount: Decimal) -> str:
        """A metered quantity, with three decimals at most."""
        return format_decimal(amount, "#,##0.###", locale=self._locale)

    def euros(self, amount: Decimal) -> str:
        """Whole euro, for figures that are round by nature."""
        pattern = Locale.parse(self._locale).currency_formats["standard"].pattern.replace(".00", "")
        return format_currency(amount, "EUR", pattern, locale=self._locale, currency_digits=False)

    def share(self, ratio: Decimal) -> str:
        """A share in per cent: one decimal below 10 %, none above; cut, so that 99.9 % is not told as 100 %."""
        pattern = Locale.parse(self._locale).percent_formats[None].pattern
        small = abs(ratio) < _TENTH
        cut = ratio.quantize(_THOUSANDTH if small else _HUNDREDTH, ROUND_DOWN)
        return format_percent(cut, pattern.replace("#,##0", "#,##0.0") if small else pattern, locale=self._locale)

    def per_cent(self, ratio: float) -> str:
        """A share that was estimated, in whole per cent."""
        return format_percent(ratio, locale=self._locale)

    def number(self, count: int) -> str:
        return format_decimal(count, locale=self._locale)

    def day(self, day: date) -> str:
        return format_date(day, "long", locale=self._locale)

    def date(self, day: date) -> str:
        """A day, short, as it stands in a table."""
        return format_date(day, "d.M.yyyy" if self.language != "en" else "d MMM yyyy", locale=self._locale)

    def moment(self, moment: datetime) -> str:
        """A moment in Helsinki time, to the minute."""
        return format_datetime(moment, "d.M.yyyy H:mm" if self.language != "en" else "d MMM yyyy HH:mm",
                               tzinfo=HELSINKI, locale=self._locale)  # fmt: skip

    def month(self, month: Month) -> str:
        """A month with its year, as it stands inside a sentence."""
        return format_date(month.first_day, "LLLL y", locale=self._locale)
