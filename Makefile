# Fresh machine with Python 3.11+: `make run` or `make test`, and nothing else. Overrides: make run ARGS="stage=sft seed_size=100"
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-all check setup

run: setup
	$(BIN)/python train.py $(ARGS)

test: setup check
	$(BIN)/python -m pytest $(ARGS)

test-all: setup check
	$(BIN)/python -m pytest -m "" $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

setup: .venv/done

.venv/done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "mathse needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
