"""Facts with other members: a case takes several steps for each entry, and most of them change one member."""

from typing import TypeVar

from services.shared.events.envelope import Fact

_F = TypeVar("_F", bound=Fact)


def changed(fact: _F, **members: object) -> _F:
    """The same fact with other members, which are not checked: `model_copy(update=…)` in a fifth of its time."""
    copy, set_member, given = object.__new__(type(fact)), object.__setattr__, fact.model_fields_set
    set_member(copy, "__dict__", fact.__dict__ | members)
    set_member(copy, "__pydantic_fields_set__", given if given >= members.keys() else given | members.keys())
    set_member(copy, "__pydantic_extra__", None)
    set_member(copy, "__pydantic_private__", None)
    return copy
