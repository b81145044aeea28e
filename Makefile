# rxcrdt: `make` lists the targets. Python 3.11+, Node 20+ and make are all that a machine needs.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

HOST ?= 127.0.0.1
PORT ?= 8000
PYTEST_ARGS ?=

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAMPS := .make
# No package here needs its install script.
NPM_CI := npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
NODE_MINIMUM := 20
NODE_TESTS := $(patsubst %/package.json,%,$(wildcard demo/page/package.json tests/node/package.json))

# 3.12 and 3.11 come first: some of the tests' wheels do not exist for 3.13.
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python3.13 python; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)

##@ Two commands

.PHONY: demo
demo: $(STAMPS)/demo demo/page/dist/page.js ## Start the demo: a project board, live (HOST=, PORT=)
	@cd demo && $(BIN)/python manage.py migrate --verbosity 0 && $(BIN)/python manage.py seed --if-empty
	@printf '\n  Board   http://%s:%s/         sign in with one click, as several people in several browsers\n' $(HOST) $(PORT)
	@printf '  Admin   http://%s:%s/admin/   name: mira, password: demo\n\n' $(HOST) $(PORT)
	@printf '  Save a task in the admin and watch the board. Control-C ends the demo.\n\n'
	@cd demo && DEMO_HOST=$(HOST) exec $(BIN)/python -m uvicorn project.asgi:application \
		--host $(HOST) --port $(PORT) --ws websockets-sansio --ws-per-message-deflate false \
		--loop uvloop --log-level warning

.PHONY: test
test: lint types test-python test-node test-browser ## Run everything: ruff, mypy, pytest, Node and browser tests
	@echo "make test: everything passed"

##@ Parts of them

.PHONY: lint
lint: $(STAMPS)/test ## ruff: the linter and the formatter's opinion
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(STAMPS)/test demo/page/node_modules/.installed ## mypy and tsc, both strict
	$(BIN)/mypy
	cd demo/page && npm run --silent types

.PHONY: test-python
test-python: $(STAMPS)/test tests/node/node_modules/.installed ## pytest on SQLite, then what talks to a database on PostgreSQL (PYTEST_ARGS=)
	$(BIN)/pytest $(PYTEST_ARGS)
	RXCRDT_TEST_DATABASE=postgresql $(BIN)/pytest $(PYTEST_ARGS) \
		$(wildcard tests/integration $(addprefix tests/oracle/test_,oracle.py generated.py metamorphic.py))

.PHONY: test-node
test-node: $(STAMPS)/test $(NODE_TESTS:=/node_modules/.installed) ## Node: the page's tables, and stock Yjs clients against a real server
	@set -e; for folder in $(NODE_TESTS); do (cd $$folder && PYTHON=$(BIN)/python npm test); done

.PHONY: test-browser
test-browser: $(STAMPS)/test demo/page/dist/page.js tests/acceptance/node_modules/.installed ## The demo in headless Chromium
	@browser=$$(tests/acceptance/chromium.sh) \
		&& cd tests/acceptance && CHROMIUM="$$browser" PYTHON=$(BIN)/python npm test

.PHONY: format
format: $(STAMPS)/test ## Let ruff write the Python files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: clean
clean: ## Remove what these targets made, the demo's database too
	rm -rf $(VENV) $(STAMPS) demo/var demo/page/dist demo/page/node_modules tests/*/node_modules \
		tests/acceptance/screenshots .mypy_cache .pytest_cache .ruff_cache

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What is installed. A stamp is newer than the files that decided what to install.

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "There is no Python 3.11 or newer with its venv module on PATH. Install it" \
		"(on Debian: apt install python3 python3-venv), or call make PYTHON=/path/to/python." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[server]"
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/demo

.PHONY: node
node:
	@version=$$(node --version 2>/dev/null | sed 's/^v//; s/\..*//'); test "$${version:-0}" -ge $(NODE_MINIMUM) \
		|| { echo "Node $(NODE_MINIMUM) or newer is needed, and there is $${version:-none} on PATH." >&2; exit 1; }

%/node_modules/.installed: %/package-lock.json %/package.json | node
	cd $* && $(NPM_CI)
	@touch $@

PAGE_SOURCES := $(shell find demo/page/src demo/page/public -type f 2>/dev/null) \
	$(wildcard demo/page/vite.config.ts demo/page/tsconfig.json)

demo/page/dist/page.js: demo/page/node_modules/.installed $(PAGE_SOURCES)
	cd demo/page && npm run --silent build
	@touch $@
