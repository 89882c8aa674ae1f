"""What a guarded connection to a SQLite file may ask: rows as `rights.py` says, and nothing that changes the schema.

SQLite asks the authorizer when it prepares a statement, not when it runs it: the hot loop, whose statements are
prepared once, does not feel it. It binds this process only; who opens the file with another tool is not bound.
"""

import sqlite3
from collections.abc import Callable, Mapping

from services.shared.store.rights import Right

Authorizer = Callable[[int, str | None, str | None, str | None, str | None], int]

_ALWAYS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
    sqlite3.SQLITE_RECURSIVE,
}
_ROWS: Mapping[int, Right] = {
    sqlite3.SQLITE_INSERT: "INSERT",
    sqlite3.SQLITE_UPDATE: "UPDATE",
    sqlite3.SQLITE_DELETE: "DELETE",
}
_HARMLESS_PRAGMAS = {
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
}
"""They only tell, also when they are given something."""


def authorizer(rights: Mapping[str, frozenset[Right]]) -> Authorizer:
    """For `sqlite3.Connection.set_authorizer`. Tables that `rights` does not name may only be read."""

    def allowed(action: int, first: str | None, second: str | None) -> bool:
        if action in _ROWS:
            return _ROWS[action] in rights.get(first or "", ())
        if action == sqlite3.SQLITE_PRAGMA:
            return second is None or first in _HARMLESS_PRAGMAS
        if action == sqlite3.SQLITE_FUNCTION:
            return second != "load_extension"
        return action in _ALWAYS

    def authorize(action: int, first: str | None, second: str | None, _schema: str | None, _by: str | None) -> int:
        return sqlite3.SQLITE_OK if allowed(action, first, second) else sqlite3.SQLITE_DENY

    return authorize
