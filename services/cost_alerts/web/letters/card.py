"""A letter as an Adaptive Card 1.4 in the envelope that a Teams Workflow takes.

Source: adaptivecards.io/explorer (1.4), and Microsoft Learn on webhooks for Teams by Workflows, read November 2026. A
message has at most 28 KB; a card that would be larger leaves out what the page behind its link tells too.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.cost_alerts.domain.alerts.letter import Letter
from services.cost_alerts.web.letters.telling import Links, Told, Tone, tell
from services.shared.web.words import Language, Words

MOST_BYTES = 27_000
_MOST_LISTED = 20
_COLOURS: Mapping[Tone, str] = {
    "critical": "Attention", "warning": "Warning", "info": "Accent", "resolved": "Good",
}  # fmt: skip
_LINK = re.compile(r"([\\\[\]])")


def card(letters: Sequence[Letter], role: str, language: Language, links: Links) -> bytes:
    """The message, below the size that Teams takes."""
    words = Words(language)
    told = [tell(letter, role, language, links) for letter in letters[:_MOST_LISTED]]
    if len(letters) > 1:
        body, actions = _digest(told, len(letters), words, links)
    else:
        body, actions = _whole(told[0], words), _buttons(told[0], words)
    message = _message(body, actions, language)
    if len(message) > MOST_BYTES:
        headline = body[:1] if len(letters) > 1 else _headline(told[0])
        message = _message([*headline, _text(words("letter_why", role=role))], actions, language)
    return message


def _message(body: Iterable[Mapping[str, Any]], actions: Sequence[Mapping[str, Any]], language: Language) -> bytes:
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "lang": language,
        "body": list(body),
        "actions": list(actions),
        "msteams": {"width": "full"},
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False).encode()


def _whole(told: Told, words: Words) -> list[Mapping[str, Any]]:
    body = [*_headline(told), *(_text(sentence) for sentence in told.lead)]
    if told.lasts:
        body.append(_text(told.lasts, weight="Bolder"))
    body.append({"type": "FactSet", "facts": [_fact(*fact) for fact in told.facts]})
    body += _listed(words("letter_also_title"), told.also)
    if told.moved:
        moved = [_fact(one.what, f"{one.before} → {one.after} ({one.change})") for one in told.moved]
        body += [_text(words("letter_movers"), weight="Bolder"), {"type": "FactSet", "facts": moved}]
    body += _listed(words("letter_actions"), told.actions)
    return body


def _digest(
    told: Sequence[Told], count: int, words: Words, links: Links
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    title = words("letter_digest_subject", count=words.number(count))
    body = [_text(title, weight="Bolder", size="Large")]
    body += [_text(f"{one.badge}: {one.subject}", color=_COLOURS[one.tone]) for one in told]
    if count > len(told):
        body.append(_text(words("letter_more", count=words.number(count - len(told)))))
    return body, [_button(words("letter_link"), links.base)]


def _headline(told: Told) -> list[Mapping[str, Any]]:
    return [
        _text(told.badge, weight="Bolder", color=_COLOURS[told.tone]),
        _text(told.subject, weight="Bolder", size="Large"),
    ]


def _listed(title: str, lines: Sequence[str]) -> list[Mapping[str, Any]]:
    return [_text(title, weight="Bolder"), *(_text(f"• {line}") for line in lines)] if lines else []


def _buttons(told: Told, words: Words) -> list[Mapping[str, Any]]:
    buttons = [_button(words("letter_link"), told.link)]
    if told.acknowledge:
        buttons.append(_button(words("letter_acknowledge"), told.acknowledge))
    return buttons


def _text(text: str, **style: str) -> Mapping[str, Any]:
    return {"type": "TextBlock", "text": plain(text), "wrap": True, **style}


def _fact(title: str, value: str) -> Mapping[str, str]:
    return {"title": plain(title), "value": plain(value)}


def _button(title: str, url: str) -> Mapping[str, str]:
    return {"type": "Action.OpenUrl", "title": title, "url": url}


def plain(text: str) -> str:
    """Text that a card shows as it is: a unit named `[here](https://…)` makes no link."""
    return _LINK.sub(r"\\\1", text)
