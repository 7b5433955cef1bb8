# Everything one does with this checkout. Needs only make and Python 3.11 or newer.
# `make` lists the targets. PYTHON=python3.12 picks another Python, ARGS="-k name" goes to pytest.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
WORKERS ?= auto
ARGS ?=

# Found by running it: a pyenv shim may exist for a Python that is not there.
ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1; then echo "$$python"; break; fi; done)
endif

ENVIRONMENT = @if [ -z "$(PYTHON)" ]; then \
	echo "No Python 3.11 or newer with venv was found; name one: make PYTHON=/path/to/python" >&2; \
	exit 1; fi; "$(PYTHON)" -m scripts.environment --venv $(VENV) --level

.PHONY: help setup demo test test-pythons coverage lint format types docs examples bench check constraints clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with everything for development
	$(ENVIRONMENT) dev

demo: ## serve the example shop at http://127.0.0.1:8000 (PORT=8123 for another port)
	$(ENVIRONMENT) demo
	@exec $(BIN)/python -m examples.shop --port $(PORT)

test: ## run all tests on SQLite, PostgreSQL and MariaDB (ARGS="-k name" for some)
	$(ENVIRONMENT) test
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-pythons: ## run all tests with every other Python 3.11-3.13 found
	$(ENVIRONMENT) test
	@"$(PYTHON)" -m scripts.pythons -n $(WORKERS) $(ARGS)

coverage: ## run all tests and show the lines and branches they miss
	$(ENVIRONMENT) test
	@$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term-missing $(ARGS)

lint: ## check style and spelling
	$(ENVIRONMENT) dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/codespell

format: ## mend what the style check can mend
	$(ENVIRONMENT) dev
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: ## check types with mypy and pyright
	$(ENVIRONMENT) dev
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python

docs: ## write the page of commands and the agent skill anew, run every example of README.md and docs/
	$(ENVIRONMENT) test
	@$(BIN)/python -m scripts.commands
	@$(BIN)/python -m scripts.skill
	@$(BIN)/python -m pytest tests/test_docs.py tests/test_docs_skill.py $(ARGS)

examples: ## write examples/shop anew from the template of new projects
	$(ENVIRONMENT) dev
	@$(BIN)/python -m scripts.examples

bench: ## measure against other libraries and hand-written code, write docs/benchmarks.md
	$(ENVIRONMENT) bench
	@$(BIN)/python -m benchmarks $(ARGS)

check: ## all that CI runs
	@.ci/run

constraints: ## pin the newest allowed packages (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --upgrade --all-extras --group dev --group bench \
		--no-header --no-annotate --no-emit-package sqlmodelkit \
		--output-file constraints.txt pyproject.toml

clean: ## remove environments, caches and the demo's database
	rm -rf .venv .venv-* .venv*.lock build dist .coverage .coverage.* htmlcov
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f app.db app.db-* shop.db shop.db-*
	find src tests examples scripts -name __pycache__ -type d -prune -exec rm -rf {} +
