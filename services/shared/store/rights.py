"""What a service may do with each of its tables.

Declared beside the tables; held by grants on PostgreSQL (`roles.py`), by an authorizer on SQLite (`authorizer.py`).
"""

from typing import Literal, get_args

from sqlalchemy import MetaData, Table

Right = Literal["SELECT", "INSERT", "UPDATE", "DELETE"]

ALL_RIGHTS: frozenset[Right] = frozenset(get_args(Right))
_KEY = "rights"


def only(*rights: Right, of: tuple[Table, ...]) -> None:
    """Say that the service needs no more than this of these tables, and shall not have it. Unsaid: everything."""
    for table in of:
        table.info[_KEY] = frozenset(rights)


def rights_of(table: Table) -> frozenset[Right]:
    """What the service may do with a table."""
    found: frozenset[Right] = table.info.get(_KEY, ALL_RIGHTS)
    return found


def rights_in(metadata: MetaData) -> dict[str, frozenset[Right]]:
    """Table → what the service may do with it, for the tables of a service."""
    return {name: rights_of(table) for name, table in metadata.tables.items()}


def is_restricted(metadata: MetaData) -> bool:
    """Whether a service keeps anything that it must not change itself."""
    return any(rights != ALL_RIGHTS for rights in rights_in(metadata).values())
