"""Valvomo: AI usage collected, priced and alerted on, and the use of its outputs put on record.

Three services that meet only in the events they exchange: ``usage_collector``, ``cost_alerts`` and ``audit_log``.
What two of them need is in ``shared``; ``embedded`` runs all three in one process.
"""

__version__ = "0.1.0"
