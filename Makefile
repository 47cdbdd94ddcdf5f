# Tunesmith: `make demo` shows it, `make test` checks it. Both need Python 3.11 with venv, and the network once.

PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := -m pip install --quiet --quiet --constraint constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow coverage bench format clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: setup  ## train, test and export a model of real handwritten digits in one minute
	$(BIN)/tunesmith fit digits --budget 60s

test: setup  ## every check: format, lint, types, layers, tests
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: setup  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

coverage: setup  ## the lines that no test runs; takes half as long again as the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

bench: setup  ## measure on this machine, into bench.json, in about 70 minutes; rows already there are kept
	$(BIN)/python benchmarks/fit.py --results bench.json

format: setup  ## format the code and apply the automatic fixes of the linter
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

setup: .venv/ready .base-venv/ready  ## make .venv and .base-venv; does nothing when they are up to date

# PyTorch goes first and by its exact version: asked for by a range, its newest release would be taken.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Tunesmith needs Python 3.11 or newer; choose one with: make PYTHON=python3.12")'
	@echo "Setting up .venv: a few minutes, most of it PyTorch's download."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python $(PIP_INSTALL) "$$(grep '^torch==' constraints.txt)"
	@$(BIN)/python $(PIP_INSTALL) --editable ".[train,hyperopt,dev]"
	@touch $@

# The base install alone, for machines that only predict. A test proves that it needs no torch.
.base-venv/ready: pyproject.toml constraints.txt
	@echo "Setting up .base-venv: the base install, without PyTorch."
	@$(PYTHON) -m venv .base-venv
	@.base-venv/bin/python $(PIP_INSTALL) --editable .
	@touch $@

clean:  ## remove what these commands made, but no run
	rm -rf .venv .base-venv build dist src/tunesmith.egg-info .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
