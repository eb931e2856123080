# Fresh machine with Python 3.11+: `make run` or `make test`, and nothing else. Overrides: make run ARGS="stage=sft seed_size=100"
PYTHON ?= python3
BIN := .venv/bin

# What is imported is compiled then, and kept: compiling all that torch and its like hold would take nearly as long as installing it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-all check setup

run: setup
	$(BIN)/python train.py $(ARGS)

# Two processes of one thread each; a file stays in one, as its tests share what they set up.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test: setup check
	$(PYTEST) $(ARGS)

test-all: setup check
	$(PYTEST) -m "" $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy train.py experiments/*.py experiments/speed/*.py

setup: .venv/done

.venv/done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "mathse needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
