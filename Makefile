# make lodo [ARCHIVES=<folder>]   the main job: on made-up corpora, or on the real archives in a folder
# make test                       format, lint and types checked, then the tests
PYTHON ?= python3
BIN := .venv/bin
ARCHIVES ?=
ifeq ($(ARCHIVES),)
NAME := smoke
PREPARE := --archive=synthetic
SPLITS := subject
else
NAME := real
PREPARE := --archive=all --source="$(ARCHIVES)"
SPLITS := subject window
endif
WINDOWS := windows/$(NAME)
RESULTS := results/$(NAME)

.PHONY: lodo test clean

lodo: .venv/ready
	$(BIN)/python launch/prepare.py $(PREPARE) --out=$(WINDOWS)
	for split in $(SPLITS); do $(BIN)/python launch/lodo.py --flagfile=launch/flags/$(NAME).flags \
	  --split=$$split --windows=$(WINDOWS) --out=$(RESULTS) || exit 1; done
	$(BIN)/python launch/report.py --results=$(RESULTS)

test: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "har_jax needs Python 3.11 or newer; make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/ready: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv windows/smoke windows/real
