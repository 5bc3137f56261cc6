# make lodo [ARCHIVES=<folder>]      the main experiment: on the sample of real recordings, or on the archives in a folder
# make pretrained ARCHIVES=<folder>  a base for adaptation, pretrained on every archive in the folder
# make export-env                    an environment for every export format, with LiteRT; tests the export there
# make web                           the page for `har-jax export --format=web`; needs Node.js 20.19 or newer
# make web-test                      the page's tests, in a headless Chromium that npm installs
# make test                          format, lint, types, all tests
# make check                         format, lint, types, fast tests without shapes
# make fuzz CASES=10000              damaged files of every format; a few of these cases are in `make test`
# make kills KILLS=100               commands killed or interrupted at random moments, and run again
# make mutants SAMPLE=400            faults put into the package one at a time; lists those that no test sees
# make web-mutants SAMPLE=400        the same for the page, by Stryker
# make bench                         training steps against the committed reference; fails where one is slower
# make docs                          the documentation as a site, in site/
# make dist                          wheel and sdist, checked, in dist/
# make release VERSION=1.2.3         the same for a new version, committed and tagged: docs/release.md
PYTHON ?= python3
BIN := .venv/bin
# Extras for the tests. EXTRAS=dev,test-optional also compares with PyTorch, peft and bitsandbytes.
EXTRAS ?= dev
CASES ?= 10000
KILLS ?= 100
SAMPLE ?= 400
SEED ?= 0
FAULTY ?= har_jax
MUTATE ?= src/**/*.ts
AGAIN ?=
TESTS ?=
FIRST ?= 0
ARCHIVES ?=
ifeq ($(ARCHIVES),)
NAME := sample
PREPARE := --archive=sample
SPLITS := subject
# Programs that run for seconds are not worth the minutes in which XLA would make them fast. Before JAX 0.11, its older emitters
# compile in two thirds of the time; later versions stop at this flag.
EMITTERS := from importlib.metadata import version; \
  print("--xla_cpu_use_fusion_emitters=false" * (version("jax").split(".") < ["0", "11"]))
COMPILE = JAX_DISABLE_MOST_OPTIMIZATIONS=true XLA_FLAGS="$$($(BIN)/python -c '$(EMITTERS)')"
define NEXT
The model is small, and pretrained for a moment on few people. So a forest may be ahead: README.md has the results of full size.
Next, recognize the activities of someone whom the adapter has never seen:
  $(BIN)/python docs/make_recording.py --subject=3 --out=runs/new_person
  $(BIN)/har-jax predict runs/new_person/day.csv --adapter=$(RUNS)/sample_motionsense/lora/subject/labels-10-per-class/seed0.json --out=runs/new_person/answers
Or adapt to your own recording: docs/index.md. On whole archives: make lodo ARCHIVES=<folder of archives>
endef
else
NAME := real
PREPARE := --archive=all --archive_path="$(ARCHIVES)"
SPLITS := subject window
NEXT := The report as a page, with the extra report: $(BIN)/har-jax report $(RUNS) --html
endif
export NEXT
WINDOWS := windows/$(NAME)
RUNS := runs/$(NAME)

.PHONY: lodo pretrained export-env web web-test test check fuzz kills mutants web-mutants bench style lint docs dist release clean

lodo: .venv/ready
	$(BIN)/har-jax prepare $(PREPARE) --out=$(WINDOWS)
	for split in $(SPLITS); do $(COMPILE) $(BIN)/har-jax lodo --flagfile=$(NAME) --jobs=auto \
	  --split=$$split --windows=$(WINDOWS) --out=$(RUNS) || exit 1; done
	$(BIN)/har-jax report --results=$(RUNS)
	@printf '\n%s\n' 'The picture of this table: $(RUNS)/headline.svg' "$$NEXT"

pretrained: .venv/ready
	$(if $(ARCHIVES),,$(error make pretrained ARCHIVES=<folder of archives>))
	$(BIN)/har-jax prepare $(PREPARE) --out=$(WINDOWS)
	$(BIN)/har-jax pretrain --flagfile=base --windows=$(WINDOWS) --out=runs/base

# Flower's anyio brings a plugin of pytest; the version that LiteRT's typing-extensions allow uses what pytest deprecates.
export-env: .venv/export/ready
	.venv/export/bin/python -m pytest -p no:anyio tests/export

# Into har_jax/assets/web, which a wheel holds and git does not: its runtime is a large binary.
web: web/node_modules/.package-lock.json
	cd web && npm run lint && npm run build

web-test: web/node_modules/.package-lock.json .venv/ready-dev
	cd web && npm test

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --ignore-scripts
	touch $@

# Types beside the tests, on whichever core is free; what they print comes after the tests.
define tests_and_types
@types=$$(mktemp); $(BIN)/mypy >$$types 2>&1 & mypy=$$!; \
$(BIN)/python -m pytest -n 2 --dist loadscope $(1); failed=$$?; \
wait $$mypy || failed=1; cat $$types; rm -f $$types; exit $$failed
endef

test: lint
	$(call tests_and_types)

# Without the check of arrays' shapes, which `make test` has.
check: lint
	$(call tests_and_types,-m 'not slow' -o addopts=-q)

fuzz: .venv/ready-dev
	HAR_FUZZ_CASES=$(CASES) HAR_FUZZ_FIRST=$(FIRST) $(BIN)/python -m pytest -n auto tests/fuzz/test_fuzz.py

kills: .venv/ready-dev
	HAR_KILLS=$(KILLS) HAR_FUZZ_FIRST=$(FIRST) $(BIN)/python -m pytest -s tests/fuzz/test_kills.py

mutants: .venv/ready-dev
	$(BIN)/python tests/mutants/mutants.py --sample=$(SAMPLE) --seed=$(SEED) --tests="$(TESTS)" $(AGAIN) $(FAULTY)

# The tests run in a copy of web/, from which no path leads to the environment.
web-mutants: web/node_modules/.package-lock.json .venv/ready-dev
	cd web && SAMPLE=$(SAMPLE) SEED=$(SEED) PYTHON="$(CURDIR)/$(BIN)/python" \
	  npx stryker run tests/mutants.js --mutate='$(MUTATE)'

# On one core, as the reference. After a change of speed that is meant: cp runs/bench/ratios.json results/bench_reference.json
bench: .venv/ready
	taskset -c 0 $(BIN)/python -m launch.bench --dtype=float32 --kinds=lora,pretraining,inference --batches=64 --repeats=5 --reference=results/bench_reference.json --out=runs/bench

style: lint
	$(BIN)/mypy

lint: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

docs: .venv/ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

dist: .venv/ready-release
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

release: .venv/ready-release
	$(if $(VERSION),,$(error make release VERSION=1.2.3))
	$(BIN)/python docs/release.py $(VERSION)

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "har_jax needs Python 3.11 or newer; make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/ready: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@

.venv/ready-docs: .venv/ready
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

.venv/ready-release: .venv/ready
	$(BIN)/pip install --quiet --editable '.[release]'
	touch $@

# Not in .venv: packages that users add may refuse the versions that LiteRT's converter needs.
.venv/export/ready: .venv/bin/python pyproject.toml
	$(BIN)/python -m venv .venv/export
	.venv/export/bin/pip install --quiet --editable '.[dev,export-litert,export-onnx]'
	touch $@

clean:
	rm -rf .venv site dist windows/sample windows/real
