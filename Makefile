# Every everyday command lives here; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTBED := PYTHONPATH=tests $(BIN)/python -m testbed

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.ready ## make the virtual environment with everything that development needs

$(VENV)/.ready: requirements-dev.lock operator/pyproject.toml types/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "python3 >= 3.11 is missing: install it with your system's packages (Debian: apt-get install python3 python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 setup"; exit 1; }
	@echo "setting up $(VENV) (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e types -e operator
	@touch $@

.PHONY: lock
lock: ## pin the development dependencies anew (requirements-dev.lock)
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 requirements-dev.in -o requirements-dev.lock
