# Everything a contributor or a first-time user runs. Needs Python 3.11 to 3.13 and git; the rest is installed into .venv.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
UV_VERSION := 0.13.8
BIN := .venv/bin
OLDEST := .venv/oldest/bin/python
# What depends on the version of an SDK; each file skips what its SDK did not have yet.
OLDEST_TESTS := matrix matrix_same matrix_google matrix_google_streams matrix_vendors google google_clients google_interactions \
	vendors endpoints endpoints_unbilled platforms \
	attempts usage_of_streams tracing headers websockets
# Old SDKs import with what pydantic has renamed since.
OLDEST_WARNINGS := -W ignore::pydantic.warnings.PydanticDeprecatedSince20 -W "ignore:Valid config keys have changed"
BENCHMARKS := pricing overhead delivery now_and_then budget_hot_path budget_stress ingest query
SOURCES := instrumentation alerts collector dashboard tests benchmarks scripts
MANIFESTS := pyproject.toml uv.lock $(wildcard */pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-oldest oldest-lock lint type unit e2e bench prices docs browser format clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: .venv/.developer ## Everything development needs, pinned by uv.lock, into .venv

demo: .venv/.user ## Collector, dashboard, a fake provider and a sample application: no key needed
	$(BIN)/outlay demo $(DEMO)

test: lint type browser unit ## Lint, types, import rules and every test

test-oldest: .venv/.oldest ## The tests of the instrumentation, with the oldest SDKs it supports
	$(OLDEST) -m pytest -q $(OLDEST_WARNINGS) $(OLDEST_TESTS:%=tests/instrumentation/test_%.py) $(PYTEST)

# The pins of that environment, written again from tests/oldest.in.
oldest-lock: .venv/bin/uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-emit-index-url --no-annotate \
		tests/oldest.in -o tests/oldest.txt

lint: .venv/.developer ## Style and import rules
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports

type: .venv/.developer ## mypy --strict
	$(BIN)/mypy
	$(BIN)/mypy scripts

# Two at a time, as even a small machine can: they wait for real processes more than they work. A file stays in one of
# them, with the fixtures it shares.
unit: .venv/.developer
	$(BIN)/pytest -n 2 --dist loadfile $(PYTEST)

e2e: .venv/.developer browser ## Only the tests that run the whole path
	$(BIN)/pytest tests/e2e $(PYTEST)

bench: .venv/.developer ## Every benchmark, beside its peer or its floor
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py; done

prices: .venv/.developer ## Compile the price book again
	$(BIN)/python scripts/build_prices.py

docs: .venv/.developer ## Write the reference pages again from the code
	$(BIN)/python scripts/build_docs.py

format: .venv/.developer ## Apply the style
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# One test needs a browser. Debian's is fetched where that is possible; elsewhere the test skips and says so.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
		echo "no chromium: the browser test will skip"

clean: ## Remove what make has made
	rm -rf .venv .outlay .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Outlay needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# A user's environment is a part of the developer's: the first never removes what the second has added.
.venv/.user: $(MANIFESTS) | .venv/bin/uv
	$(BIN)/uv sync --quiet --frozen --no-dev --inexact
	@touch $@

.venv/.oldest: tests/oldest.txt | .venv/bin/uv
	$(BIN)/uv venv -q --allow-existing --python $(BIN)/python .venv/oldest
	$(BIN)/uv pip sync -q --python $(OLDEST) tests/oldest.txt
	@touch $@

.venv/.developer: $(MANIFESTS) | .venv/bin/uv
	$(BIN)/uv sync --quiet --frozen
	@touch $@ .venv/.user
