"""OpenTelemetry by OTLP/HTTP: spans, logs and metrics become readings, outputs and reviews; everything else is let go.

One call counts once: GenAI spans make readings, Claude Code's log records make readings, and metrics, which count the
same calls again, make readings under a source of their own with purpose `telemetry`. Prompts, answers, names and
addresses are never read; a person's identifier becomes a pseudonym.
"""
