# make lodo [ARCHIVES=<folder>]   the main job: on made-up corpora, or on the real archives in a folder
# make pretrained ARCHIVES=<folder>  a base to adapt, from every archive in the folder
# make export-env                 all that launch/export.py can need, LiteRT too, in .venv/export; tests it there
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

.PHONY: lodo pretrained export-env test clean

lodo: .venv/ready
	$(BIN)/python launch/prepare.py $(PREPARE) --out=$(WINDOWS)
	for split in $(SPLITS); do $(BIN)/python launch/lodo.py --flagfile=launch/flags/$(NAME).flags \
	  --split=$$split --windows=$(WINDOWS) --out=$(RESULTS) || exit 1; done
	$(BIN)/python launch/report.py --results=$(RESULTS)

pretrained: .venv/ready
	$(if $(ARCHIVES),,$(error make pretrained ARCHIVES=<folder of archives>))
	$(BIN)/python launch/prepare.py $(PREPARE) --out=$(WINDOWS)
	$(BIN)/python launch/pretrain.py --flagfile=launch/flags/base.flags --windows=$(WINDOWS) --out=results/base

export-env: .venv/export/ready
	.venv/export/bin/python -m pytest tests/export

test: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadscope

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "har_jax needs Python 3.11 or newer; make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/ready: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Apart from .venv, where packages that users add may want what LiteRT's converter refuses.
.venv/export/ready: .venv/bin/python pyproject.toml
	$(BIN)/python -m venv .venv/export
	.venv/export/bin/pip install --quiet --editable '.[dev,export-litert,export-onnx]'
	touch $@

clean:
	rm -rf .venv windows/smoke windows/real
