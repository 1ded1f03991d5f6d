# Carnet in two commands: `make demo` and `make test`. Needs python3 (3.11 or newer), pip and make.
#
#   make PYTHON=python3.12 test          another Python, in a virtual environment of its own
#   make test ARGS="tests/people -x"     a part of the tests
#   CARNET_PORT=8080 make demo           another port

PYTHON ?= python3
VENV ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-large conformance check lint types format schema bench install clean

help: ## show this list
	@echo "Carnet: make demo starts it, make test tests it."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo
	@echo "Settings: CARNET_PORT, CARNET_DATA_DIR, CARNET_DATABASE_URL, CARNET_BLOB_URL."
	@echo "Commands: $(BIN)/carnet --help, once make demo or make install has run."

demo: $(VENV)/.installed ## start the server with the sandbox, at http://127.0.0.1:8000
	@exec $(BIN)/carnet demo $(ARGS)

test: $(VENV)/.installed-dev ## run all tests
	@$(BIN)/python -m pytest -q -n auto --dist worksteal $(ARGS)

test-large: $(VENV)/.installed-dev ## send and save a file of 1 GiB: its speed, and the memory it takes
	@CARNET_TEST_FILE_MIB=1024 $(BIN)/python -m pytest -q -s tests/client/test_large_files.py

conformance: $(VENV)/.installed-dev ## hold the server against others' audits, clients and fuzzers
	@$(BIN)/python conformance/run.py $(ARGS)

check: lint types ## run the linters, the type checker and the layer contracts
	@$(BIN)/carnet schema --check

lint: $(VENV)/.installed-dev ## run ruff and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.installed-dev ## run mypy --strict
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(VENV)/.installed ## write schema.graphql from the code
	$(BIN)/carnet schema --write

bench: $(VENV)/.installed-dev ## measure: intake, upload, download, reads, events
	@set -e; for file in bench/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

install: $(VENV)/.installed-dev ## create the virtual environment with everything

clean: ## delete the virtual environments and caches; keeps .carnet, your data
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing Carnet into $(VENV) (a minute the first time)…"
	@$(PIP_INSTALL) -e '.[client]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing Carnet and its test tools into $(VENV) (a minute or two the first time)…"
	@$(PIP_INSTALL) -e '.[client,dev]'
	@touch $@ $(VENV)/.installed

# Debian and Ubuntu ship python3 without ensurepip; there, the pip outside fills the environment.
$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON) here; install Python 3.11 or newer, or say which:" \
			"make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Carnet needs Python 3.11 or newer and $(PYTHON) is older; say which to use:" \
			"make PYTHON=python3.12 …" >&2; exit 1; }
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --quiet --python $(BIN)/python install pip; \
	else echo "$(PYTHON) comes without venv and without pip;" \
		"on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; fi
