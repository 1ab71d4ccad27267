# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2

# make PYTHON=… chooses another interpreter; it must be 3.11 or newer.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)) python3-not-found)
BIN := .venv/bin
CODE := ndi identifiers fhir_server security audit patient_index provider_catalog consent terminology gateway transfer \
	portal demo tools tests
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test soak check lint types contracts dead licences drift conformance-kernel bench bench-kernel docs openapi \
	screenshots settings lock format clean machine

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Make the virtual environment (Python 3.11 or newer is all it needs)
	@command -v $(PYTHON) >/dev/null || { echo "setup: Python 3.11 or newer is needed: install it, or make PYTHON=<path>" >&2; exit 1; }
	@$(PYTHON) tools/setup.py run

setup-dev: ## The same, with the tools for tests and checks
	@command -v $(PYTHON) >/dev/null || { echo "setup: Python 3.11 or newer is needed: install it, or make PYTHON=<path>" >&2; exit 1; }
	@$(PYTHON) tools/setup.py dev

demo: setup ## Play the worked example and leave it running; ONCE=1 ends after it
	@$(BIN)/ndi demo $(if $(ONCE),--once) $(if $(JSON),--json) $(if $(PORT),--base-port $(PORT))

test: setup-dev machine ## Run the tests with small numbers of rounds (ARGS="-k name" and the like)
	@$(BIN)/pytest -n 2 --dist loadfile -m "not alone" $(ARGS)
	@$(BIN)/pytest -m alone $(ARGS) || [ $$? = 5 ]

soak: setup-dev machine ## Run the tests with their full numbers of rounds: hours
	@NDI_SOAK=1 $(BIN)/pytest -m "not alone" --timeout 0 $(ARGS)
	@NDI_SOAK=1 $(BIN)/pytest -m alone --timeout 0 $(ARGS)

check: setup-dev lint types contracts dead licences drift ## Check style, types, import contracts, licences, documents
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "check: all clean"

lint:
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check . ; exit 1; }

types:
	@$(BIN)/mypy --no-error-summary

contracts:
	@out=$$($(BIN)/lint-imports 2>&1) || { echo "$$out"; exit 1; }

dead:
	@$(BIN)/vulture

licences:
	@out=$$($(BIN)/reuse lint 2>&1) || { echo "$$out"; exit 1; }

drift:
	@$(BIN)/python tools/drift.py --check

conformance-kernel: setup-dev ## Hold the kernel against published suites; writes docs/conformance.md
	@$(BIN)/python -m tools.conformance

bench: setup-dev ## Measure, one figure a command (bench/README.md)
	@for name in kernel kernel_load kernel_peer kernel_scale validation; do $(BIN)/python -m bench.$$name; done

bench-kernel: setup-dev ## Measure the kernel beside the bare minimum, a peer, and with a million resources
	@for name in kernel kernel_peer kernel_scale; do $(BIN)/python -m bench.$$name; done

docs: setup-dev ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

openapi: setup-dev ## Write what is made from code: openapi/*.json, docs/operations/settings.md
	@$(BIN)/python tools/drift.py

settings: openapi

screenshots: setup-dev machine ## Take the pictures of docs/ from a running demo
	@$(BIN)/python tools/screenshots.py

format: setup-dev ## Bring the code into form
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

lock: setup-dev ## Write the lock files after a change of dependencies (ARGS=--upgrade for the newest)
	@tools/lock.sh $(ARGS)

machine: setup-dev ## See to what tests use besides Python: PostgreSQL, Redis, Chromium, Node with FHIR clients
	@tools/machine.sh
	@tools/clients.sh

clean: ## Remove what was made, but neither data nor the virtual environment
	@rm -rf site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path "./.venv/*" -prune -exec rm -rf {} +
