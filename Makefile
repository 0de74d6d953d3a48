# Everything is installed inside this folder: .venv (locked, with hashes) and node_modules.
# What CI runs (.ci/run) is `make check` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

# `make test PYTHON=python3.13` works in an environment of its own, .venv-python3.13.
PYTHON ?=
VENV ?= .venv$(if $(PYTHON),-$(notdir $(PYTHON)))
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet

# Paths are relative and quoted, so that the folder may have a space in its name. An agent of your
# own, named by GALAXY_OPENCODE_BIN, is taken instead of the pinned one.
ENVIRONMENT = PATH="$$PWD/$(VENV)/bin:$$PATH" \
	GALAXY_OPENCODE_BIN="$${GALAXY_OPENCODE_BIN:-$$(scripts/opencode-bin)}"

# More arguments for pytest or the benchmark: make test ARGS="-k queue -x"
ARGS ?=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

# --- setting up ----------------------------------------------------------------------------------

.PHONY: setup venv agent browser compile
setup: venv agent compile ## Install everything: .venv and the pinned opencode
venv: $(VENV)/.project-installed ## Install the Python side only

$(VENV)/.dependencies-installed: requirements/dev.lock scripts/create-venv
	@echo "Installing the locked Python packages into $(VENV)"
	@scripts/create-venv $(VENV) $(PYTHON)
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/dev.lock
	@touch $@

# Installed without its dependencies (the lock has them) and without build isolation (so has hatchling).
$(VENV)/.project-installed: $(VENV)/.dependencies-installed pyproject.toml README.md LICENSE
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

ifdef GALAXY_OPENCODE_BIN
agent:
else
agent: node_modules/.agent-installed ## Install the pinned opencode only
endif

# npm's own link would call a placeholder that only says that its install script did not run.
node_modules/.agent-installed: package-lock.json package.json .npmrc scripts/opencode-bin
	@command -v npm >/dev/null || { echo "npm is missing: install it (apt-get install npm), or set" \
		"GALAXY_OPENCODE_BIN to an opencode of your own." >&2; exit 1; }
	@echo "Installing the pinned opencode into node_modules"
	@npm ci --loglevel=error
	@binary=$$(scripts/opencode-bin); mkdir -p node_modules/.bin; \
		ln -sfn "../$${binary##*/node_modules/}" node_modules/.bin/opencode
	@touch $@

ifdef GALAXY_CHROMIUM_BIN
browser:
else
browser: tests/browser/.installed ## Install the browser for the page's tests only
endif

tests/browser/.installed: tests/browser/package-lock.json tests/browser/package.json tests/browser/unpack.mjs
	@echo "Installing the tests' Chromium into tests/browser"
	@npm ci --prefix tests/browser --loglevel=error
	@node tests/browser/unpack.mjs
	@touch $@

# An interpreter told not to write bytecode would compile the sources again at every start. A syntax
# error is better reported by what runs next.
compile: venv
	@env -u PYTHONDONTWRITEBYTECODE $(PY) -m compileall -q src || true

# --- running -------------------------------------------------------------------------------------

.PHONY: run demo
run: setup ## Run everything on a sample project, until TERM; prints the address to open
	@$(ENVIRONMENT) exec $(PY) -m galaxy_apps.demo $(ARGS)

demo: setup ## One order through the whole, then exit with a status
	@$(ENVIRONMENT) exec $(PY) -m galaxy_apps.demo --once $(ARGS)

# --- checking ------------------------------------------------------------------------------------

.PHONY: check check-lint check-format check-types check-imports format test cover bench chaos endurance
check: check-lint check-format check-types check-imports ## Lint, formatting, types, import contracts

check-lint: venv
	$(PY) -m ruff check

check-format: venv
	$(PY) -m ruff format --check

check-types: venv
	$(PY) -m mypy

check-imports: venv
	$(VENV)/bin/lint-imports --no-logo

format: venv ## Format, and mend what the linter can
	$(PY) -m ruff check --fix-only
	$(PY) -m ruff format

# Several processes side by side, a file of tests always in one of them: most tests wait for others.
JOBS ?= 3

test: setup browser ## Run the tests: make test [ARGS="-k queue"] [JOBS=1] [PYTHON=python3.13]
	$(ENVIRONMENT) $(PY) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

.PHONY: test-faults
test-faults: setup ## Kill and fail the queue at every single call, not at every fourth (minutes)
	$(ENVIRONMENT) GALAXY_EVERY=1 $(PY) -m pytest -n $(JOBS) --dist load tests/faults $(ARGS)

cover: setup browser ## Run the tests and show what they do not reach
	$(PY) -m coverage erase
	$(ENVIRONMENT) $(PY) -m coverage run -m pytest $(ARGS)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

$(VENV)/.bench-installed: requirements/bench.lock $(VENV)/.dependencies-installed
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/bench.lock
	@touch $@

bench: setup $(VENV)/.bench-installed ## Measure, beside other queues
	$(ENVIRONMENT) $(PY) -m benchmarks $(ARGS)

chaos: setup ## Kill and break everything, then balance the books: make chaos [ARGS="--seed 1"]
	$(ENVIRONMENT) $(PY) -m tests.chaos $(ARGS)

endurance: setup ## A day of orders in minutes, and whether all levels off: make endurance [ARGS="--seed 1"]
	$(ENVIRONMENT) $(PY) -m tests.endurance $(ARGS)

# --- maintenance ---------------------------------------------------------------------------------

# Pins stay unless UPGRADE is set. The index is the machine's own; no lock names one.
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	$(if $(UPGRADE),--upgrade)

.PHONY: lock clean
lock: venv ## Write the locks again; make lock UPGRADE=1 takes newer versions
	$(LOCK) pyproject.toml --extra telegram --extra web --extra webhook -o requirements/runtime.lock
	$(LOCK) pyproject.toml --extra all --group dev -c requirements/runtime.lock -o requirements/dev.lock
	$(LOCK) --group bench -c requirements/dev.lock -o requirements/bench.lock
	npm install --package-lock-only --loglevel=error
	$(PY) scripts/complete_npm_lock.py
	npm install --prefix tests/browser --package-lock-only --loglevel=error

clean: ## Remove what make installed and the tools cached
	rm -rf tests/browser/node_modules tests/browser/chromium tests/browser/.installed
	rm -rf .venv .venv-* node_modules build dist .coverage .coverage.* htmlcov
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests benchmarks scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
