"""Where the log is kept: tables, key files, exports."""
