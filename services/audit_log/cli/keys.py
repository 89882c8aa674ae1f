"""`valvomo audit key`: the log's verifier key."""

from services.audit_log.main import signer
from services.shared.settings import load_settings


def print_key() -> None:
    """Print the log's verifier key: give it to auditors by a way that nobody between you and them can change.

    Exit codes: 0 printed, 2 there is no key yet, or others may read its file.

    Example: valvomo audit key
    """
    print(signer(load_settings()).key)  # noqa: T201  # the output that was asked for
