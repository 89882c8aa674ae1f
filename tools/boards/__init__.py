"""The Grafana boards, made by code: what they are built of, and one module each."""
