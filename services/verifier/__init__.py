"""The verifier: what anybody can run, alone, on an export. Imports `services.shared.tlog` and nothing else of ours."""
