# Every everyday command lives here; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for others; each process has a control plane of its own (about 1 GiB).
TEST_PROCESSES ?= 4
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
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e types -e operator
	@touch $@

PIN := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11

.PHONY: lock
lock: ## pin the dependencies anew: requirements-dev.lock; requirements.lock and requirements-build.lock for the image
	$(PIN) --universal --upgrade requirements-dev.in -o requirements-dev.lock
	$(PIN) --constraint requirements-dev.lock requirements.in -o requirements.lock
	$(PIN) --upgrade requirements-build.in -o requirements-build.lock

.PHONY: lint
lint: setup ## format check, lint, strict types, floors, dead code, generated files
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy -p wasmcloud_operator_types -p wasmcloud_operator
	@$(BIN)/lint-imports
	@$(BIN)/vulture
	@$(BIN)/python -m wasmcloud_operator.commands.crds --check manifests/crds
	@$(BIN)/python -m wasmcloud_operator.commands.schema --check manifests/schemas
	@$(BIN)/python -m wasmcloud_operator.commands.rbac --check manifests
	@$(BIN)/python manifests/monitoring/dashboard.py --check
	@$(BIN)/python docs/reference/generate.py --check
	@$(BIN)/python release/version.py --check

.PHONY: format
format: setup ## format the code and mend what the linter can
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

.PHONY: manifests
manifests: setup ## write the CRDs, the JSON Schemas, the RBAC manifests, the dashboard and the reference pages anew
	@$(BIN)/python -m wasmcloud_operator.commands.crds manifests/crds
	@$(BIN)/python -m wasmcloud_operator.commands.schema manifests/schemas
	@$(BIN)/python -m wasmcloud_operator.commands.rbac manifests
	@$(BIN)/python manifests/monitoring/dashboard.py
	@$(BIN)/python docs/reference/generate.py

.PHONY: docs
docs: setup ## the documents as a site with search, in build/site; a broken link or anchor fails
	@$(BIN)/python docs/site.py
	@$(BIN)/zensical build --clean --strict
	@! grep -rlE '<(script|link|img|iframe)[^>]* (src|href)="?https?:' build/site --include='*.html' || \
		{ echo "these pages load something from elsewhere"; exit 1; }

.PHONY: docs-serve
docs-serve: docs ## serve that site on http://127.0.0.1:8000
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site 8000

.PHONY: fields
fields: setup ## write kube/field_table.py anew from the testbed's API server; after another version of it was chosen
	@$(TESTBED) build core
	@PYTHONPATH=tests $(BIN)/python -m support.kube.field_types

.PHONY: install-yaml
install-yaml: setup ## write dist/install.yaml from the chart: namespace, CRDs, RBAC and the operator in one file
	@$(TESTBED) build tools
	@mkdir -p dist
	@{ cat manifests/base/namespace.yaml; $$($(TESTBED) where helm) template wasmcloud-operator manifests/chart/wasmcloud-operator \
		--namespace wasmcloud-operator; } > dist/install.yaml
	@echo "dist/install.yaml: kubectl apply --server-side -f dist/install.yaml"

.PHONY: release-artifacts
release-artifacts: setup ## all of a release that needs no hosting service, in dist/: packages, charts, install.yaml, checksums
	@$(TESTBED) build helm
	@PYTHONPATH=tests $(BIN)/python release/artifacts.py

.PHONY: build-testbed
build-testbed: setup ## build the testbed's real components into the cache (once for each version)
	@$(TESTBED) build

.PHONY: demo
demo: setup ## the quickstart on a cluster of its own, real where one can run, else simulated; Ctrl-C takes it down
	@$(TESTBED) build core
	@PYTHONPATH=tests $(BIN)/python tests/e2e/e2edemo.py

.PHONY: test
test: setup ## unit and integration tests, against a real control plane, NATS and wadm
	@$(TESTBED) build core wadm tools
	@$(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadfile

# What of the integration tests depends on the API server; 1.35 is what all of them run on.
MATRIX_SERVERS ?= 1.29 1.32 1.37
MATRIX := tests/matrix/test_matrix_apiserver.py tests/integration/test_crds_apply.py \
	tests/integration/test_crds_refuse.py tests/integration/test_crds_null.py \
	tests/integration/test_kube_machinery.py tests/integration/test_kube_apply_live.py \
	tests/integration/test_kube_lease_live.py tests/integration/test_kube_field_table.py

# The earlier releases of wadm; all other tests run on the newest.
MATRIX_WADMS ?= 0.12 0.13 0.14 0.15 0.16 0.17 0.18 0.19 0.20

.PHONY: matrix
matrix: setup ## what depends on the API server and on wadm, on the oldest supported, some between, the newest; an upgrade and back
	@$(TESTBED) build core wadm matrix
	@for minor in $(MATRIX_SERVERS); do echo "API server $$minor"; \
		TESTBED_API_SERVER=$$minor $(BIN)/pytest -q -n 2 --dist loadfile $(MATRIX); done
	@# On the API server of the scheduler's own version: a newer scheduler than the API server starts no pod.
	@$(BIN)/pytest -q tests/matrix/test_matrix_releases.py
	@for minor in $(MATRIX_WADMS); do echo "wadm $$minor"; \
		TESTBED_WADM=$$minor $(BIN)/pytest -q tests/matrix/test_matrix_wadm.py; done

.PHONY: pythons
pythons: setup ## the unit tests on each supported Python that is here, and on the lowest versions of the dependencies
	@PYTHONPATH=tests $(BIN)/python tests/matrix/pythons.py

.PHONY: chaos
chaos: setup ## what the operator does while servers are killed, cut off, silent, wiped, hostile, or of another time; fuzzing; random lives
	@$(TESTBED) build core wadm
	@$(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadfile tests/chaos --ignore tests/chaos/fuzz
	@$(BIN)/pytest -q -n $(TEST_PROCESSES) --dist load tests/chaos/fuzz
	@MODEL_SEQUENCES=$${MODEL_SEQUENCES:-2000} $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist load tests/model

# Paths below the package, without .py: make mutants MODULES="kube/queue kube/turns".
MODULES ?=

.PHONY: mutants
mutants: setup ## change the decision modules in each small way; what no unit test notices has to be in docs/mutation.md
	@PYTHONPATH=tests $(BIN)/python -m mutation $(MODULES)

.PHONY: monitoring
monitoring: setup ## alerts by Prometheus's rule tester; a Prometheus that scrapes an operator (Debian's package, installed if missing)
	@$(TESTBED) build core wadm
	@PYTHONPATH=tests $(BIN)/pytest -q tests/monitoring

.PHONY: ui
ui: setup ## the page of `kubectl wasmcloud ui` in a real Chromium (Debian's package, installed where it is missing)
	@$(TESTBED) build core wadm
	@PICTURES=$(PICTURES) $(BIN)/pytest -q tests/browser

.PHONY: pictures
pictures: ## the pictures of the page in the documents, taken anew
	@$(MAKE) --no-print-directory ui PICTURES=docs/pictures

.PHONY: dashboard-picture
dashboard-picture: setup ## draw docs/dashboard.png with what a real Prometheus has of a real operator
	@$(TESTBED) build core wadm
	@DASHBOARD_PICTURE=docs/dashboard.png PYTHONPATH=tests $(BIN)/pytest -q tests/monitoring/test_scrape.py -k drawn

.PHONY: selftest
selftest: setup ## the testbed's own tests: what starts, stops and builds the real components
	@$(TESTBED) build core wadm
	@$(BIN)/pytest -q -n 2 --dist loadfile tests/selftest

# Helm's journey changes the installation for good: it has a cluster of its own (JOURNEYS=tests/e2e/test_e2e_helm.py).
JOURNEYS ?= tests/e2e --ignore tests/e2e/test_e2e_helm.py

.PHONY: e2e
e2e: setup ## the README's journeys with real pods, hosts and HTTP; E2E_CLUSTER=auto|kind|node|existing, JOURNEYS=FILE
	@$(TESTBED) build core wadm host node
	@$(BIN)/pytest -s -q $(JOURNEYS)

.PHONY: bench
bench: setup ## measure, and print a table each
	@$(TESTBED) build core wadm
	@for bench in tests/bench/bench_*.py; do PYTHONPATH=tests $(BIN)/python $$bench; done

.PHONY: cluster
cluster: setup ## control plane, simulated nodes, NATS and wadm in the background: .testbed/kubeconfig, .testbed/env
	@$(TESTBED) build core wadm
	@$(TESTBED) up --with kwok,nats,wadm

.PHONY: cluster-down
cluster-down: ## stop the testbed
	@test ! -x $(BIN)/python || $(TESTBED) down

.PHONY: run
run: setup ## run the operator against $KUBECONFIG (default: the testbed's)
	@KUBECONFIG=$${KUBECONFIG:-.testbed/kubeconfig} $(BIN)/wasmcloud-operator run --no-leader-election

.PHONY: clean
clean: cluster-down ## remove everything that was made here, except the testbed's cache
	rm -rf $(VENV) build .cache .testbed .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
