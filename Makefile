# Thin: each line calls a tool. `make` alone lists the targets.
#
# What can be given, such as `make PYTHON=python3.12 test`:
#   PYTHON=python3.12   the interpreter for the environment (default: the first of 3.11–3.13)
#   VENV=.venv          where the environment is
#   MLFLOW=3.12         the MLflow of `make test-mlflow`, by constraints-mlflow-3.12.txt
#   AIRFLOW=3.1         the Airflow of `make test-airflow`, by constraints-airflow-3.1.txt
#   BENCH='--rows gas'  options of the bench
#   SOAK_S, SOAK_SEED   how long `make soak` takes, about (600 s; one kill each 3 s), and its seed
#   SOAK_NETWORK_S      how long its further storm over a network blows (600 s; 0: none)
#   SOAK_DAY            0: without the day that a chain is away (10^6 events, some minutes)

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
MLFLOW ?= 3.12
MLFLOW_VENV := .venv-mlflow-$(MLFLOW)
MLFLOW_READY := $(MLFLOW_VENV)/.installed
MLFLOW_TESTS := tests/unit/mlflow_chain tests/integration tests/faults/test_mlflow_killed.py
AIRFLOW ?= 3.1
AIRFLOW_VENV := .venv-airflow-$(AIRFLOW)
AIRFLOW_READY := $(AIRFLOW_VENV)/.installed
AIRFLOW_TESTS := tests/unit/airflow_chain tests/integration/airflow
# What watchers share came with Airflow 3.3; the oldest one is tried on what it has instead.
AIRFLOW_NEWER := $(addprefix --deselect tests/integration/airflow/test_triggers.py::, \
	test_watchers_share_one_loop_and_each_has_a_cursor_of_its_own \
	test_a_cursor_that_somebody_else_wrote_tells_nothing_untrue_and_silences_nobody)

.DEFAULT_GOAL := help
.PHONY: help demo demo-network test test-pythons test-mlflow test-airflow check format bench soak ledgers contracts docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 21

$(READY): pyproject.toml plugins/aws/pyproject.toml examples/promotion_checks/pyproject.toml constraints.txt
	@PYTHON='$(PYTHON)' tools/make-venv $(VENV)
	@touch $@

$(MLFLOW_READY): pyproject.toml constraints-mlflow-$(MLFLOW).txt
	@PYTHON='$(PYTHON)' tools/make-venv $(MLFLOW_VENV) constraints-mlflow-$(MLFLOW).txt mlflow,dev
	@touch $@

$(AIRFLOW_READY): pyproject.toml constraints-airflow-$(AIRFLOW).txt
	@PYTHON='$(PYTHON)' tools/make-venv $(AIRFLOW_VENV) constraints-airflow-$(AIRFLOW).txt
	@touch $@

demo: $(READY) ## train, verify, tamper, and see what verify names
	@$(BIN)/python examples/demo.py

demo-network: $(READY) ## the gated promotion on a real node, with Postgres behind the log
	@$(BIN)/python examples/on_a_network/up.py

check: $(READY) ## lint, format, types, import contracts, documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit/repository/test_docs.py

test: check ## every check, every test, and the pure rooms under other Pythons
	$(BIN)/pytest -n 2 --dist worksteal
	@tools/test-pythons $(VENV)

test-pythons: $(READY) ## the tests of formats and storage under each Python 3.11–3.13 found here
	@tools/test-pythons $(VENV)

test-mlflow: $(MLFLOW_READY) ## the tests that concern MLflow, with the oldest one supported
	$(MLFLOW_VENV)/bin/pytest -n 2 --dist worksteal --ignore tests/integration/airflow $(MLFLOW_TESTS)

test-airflow: $(AIRFLOW_READY) ## the tests that concern Airflow, with the oldest one supported
	$(AIRFLOW_VENV)/bin/pytest -n 2 --dist worksteal $(AIRFLOW_TESTS) $(AIRFLOW_NEWER)

bench: $(READY) ## wrapped against plain: table and bench-results.json
	@$(BIN)/python -m tests.bench $(BENCH)

soak: $(READY) ## a storm of 200 kills on MLflow, one over a whole network, many more random examples
	@tools/soak $(VENV)

ledgers: $(READY) ## ask every kind of ledger what it offers, and write that into the documents
	@$(BIN)/python -m tests.conformance --write

docs: $(READY) ## check that links and headings of the documents hold
	$(BIN)/pytest -q tests/unit/repository/test_docs.py

format: $(READY) ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, caches and build results
	rm -rf .venv .venv-mlflow-* .venv-airflow-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf contracts/node_modules tests/nodes/node_modules contracts/out contracts/cache bench-results.json

# Target `contracts`: rebuild and test the Solidity contracts.
-include contracts/contracts.mk
