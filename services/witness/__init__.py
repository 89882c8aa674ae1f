"""A witness (c2sp.org/tlog-witness): cosigns a log's checkpoint only when it continues the one that it saw last.

For a second department, which runs it alone: standard library, `cryptography` and the log's formats, nothing else.
"""
