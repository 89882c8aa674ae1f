# Needs Python 3.11 or newer and make; everything else is installed into .venv, checked by hash.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE = $(wildcard services tests tools)
PIP_INSTALL = $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --no-compile
RUN_STAMP := $(VENV)/.installed
CHECK_STAMP := $(VENV)/.installed-check
BENCH_STAMPS := .cache/bench/kafka/.installed .cache/bench/quix/.installed .cache/bench/forecast/.installed
UV := .cache/lock/bin/uv
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links $(UPGRADE)
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-check demo run test check lint types imports contract crash golden generated dashboards schemas \
	witness verifier bench backtest lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(RUN_STAMP) ## Install the program and what its tests need into .venv, once per lock

demo: $(RUN_STAMP) ## A simulated city through the whole program on 127.0.0.1:8600 (ARGS="--days 30 --once")
	@$(BIN)/valvomo demo $(ARGS)

run: $(RUN_STAMP) ## The program itself, embedded (ARGS="cost-alerts" for one service)
	@$(BIN)/valvomo run $(ARGS)

test: $(RUN_STAMP) ## Every test, in two halves; each ends with a table of the real servers that ran (ARGS="-k bus")
	@$(BIN)/python -m tools.tests $(ARGS)

check: lint types imports test ## All that must hold before a commit, fastest first

lint: $(CHECK_STAMP) ## Style, by ruff
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)

types: $(CHECK_STAMP) ## Types, by mypy
	@$(BIN)/mypy $(CODE)

imports: $(CHECK_STAMP) ## Who may import whom, by import-linter
	@$(BIN)/lint-imports

contract: $(RUN_STAMP) ## The rules that all buses, and all stores, keep alike
	@$(BIN)/python -m pytest tests/contract $(ARGS)

crash: $(RUN_STAMP) ## Kill a log two hundred times, a restating ledger a hundred: whole, as undisturbed (some minutes)
	@CRASH_KILLS=200 $(BIN)/python -m pytest tests/crash/test_appender_crash.py $(ARGS)
	@CRASH_KILLS=100 $(BIN)/python -m pytest tests/crash/test_restating_crash.py $(ARGS)

golden: $(RUN_STAMP) ## Rewrite the golden files from what the program does now; read the difference before you commit it
	@$(BIN)/python -m pytest tests/golden --rewrite-golden $(ARGS)

generated: $(RUN_STAMP) ## Rewrite every file that is made from code: schemas, dashboards
	@$(BIN)/python tools/generate.py $(ARGS)

dashboards: $(RUN_STAMP) ## Rewrite the Grafana dashboards only
	@$(BIN)/python -m tools.dashboards $(ARGS)

schemas: $(RUN_STAMP) ## Rewrite the event schemas and AsyncAPI only
	@$(BIN)/python -m tools.schemas $(ARGS)

witness: $(RUN_STAMP) ## The witness as one file for another department: dist/valvomo-witness.pyz
	@$(BIN)/python -m tools.witness $(ARGS)

verifier: $(RUN_STAMP) ## The verifier that runs alone, as one file: dist/valvomo-verify.pyz
	@$(BIN)/python -m tools.verifier $(ARGS)

bench: $(RUN_STAMP) $(BENCH_STAMPS) ## How fast, beside bare loops and other libraries (ARGS="--json")
	@$(BIN)/python -m tools.bench $(ARGS)

backtest: $(RUN_STAMP) .cache/bench/forecast/.installed ## How good and fast forecasts are, beside AutoETS
	@$(BIN)/python -m tools.bench.forecast $(ARGS)

lock: $(UV) ## Renew all locks after a change in pyproject.toml (UPGRADE=--upgrade for newer versions)
	@$(LOCK) pyproject.toml --group test --extra confluent --extra timestamp --output-file requirements.lock
	@$(LOCK) --group check --constraint requirements.lock --output-file requirements-check.lock
	@$(LOCK) --group bench-kafka --constraint requirements.lock --output-file requirements-bench-kafka.lock
	@$(LOCK) --group bench-quix --output-file requirements-bench-quix.lock
	@$(LOCK) --group bench-forecast --output-file requirements-bench-forecast.lock

clean: ## Remove .venv and all caches; the data in var/ stays
	@rm -rf $(VENV) .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

setup-check: $(CHECK_STAMP)

# The stamps make a second `make` start at once. pyproject.toml counts, since the command is installed from it.
$(RUN_STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Found Python " + sys.version.split()[0] + ", expected 3.11 or newer: name one with make PYTHON=python3.12 setup")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Cannot make $(VENV): on Debian and Ubuntu, install the package python3-venv"; exit 1; }
	@echo "Installing into $(VENV), checked by hash ..."
	@$(PIP_INSTALL) --require-hashes --requirement requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(CHECK_STAMP): requirements-check.lock $(RUN_STAMP)
	@echo "Installing the linters into $(VENV), checked by hash ..."
	@$(PIP_INSTALL) --require-hashes --requirement requirements-check.lock
	@touch $@

# Where a library cannot be installed, the benchmark runs without it and says so.
.cache/bench/%/.installed: requirements-bench-%.lock
	@echo "Installing what is compared with into $(@D), checked by hash ..."
	@{ $(PYTHON) -m venv $(@D) && $(@D)/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
		--require-hashes --requirement $< && touch $@; } || echo "It failed; its libraries are left out"

# Only who changes dependencies needs uv; it gets a place of its own.
$(UV):
	@$(PYTHON) -m venv .cache/lock
	@.cache/lock/bin/pip install --quiet uv
