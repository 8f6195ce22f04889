# `make help` lists what can be made. Every target but system, clean and help stands on `venv`.
#
#   PYTHON       interpreter of the environments (3.11 to 3.13); as .venv was made, else python3
#   RUN_DIR, FLAGS  of `make train-supervised`: the run's folder, and all other flags
#   PYTEST_ARGS  added to every pytest call: make test PYTEST_ARGS="-k spectral"
#   APT_PACKAGES what `make system` installs

VENV := .venv
LATEST_VENV := .venv-latest
BEAM_VENV := .venv-beam
COMMA := ,
BIN := $(VENV)/bin
PYTEST_ARGS ?=
# Debian packages that tests and reports use; other native code, libsndfile for one, comes inside
# the wheels. A test that needs one skips with "system package missing: ...", and .ci/run takes that
# for a failure. FluidR3 (140 MB, fluid-soundfont-gm) is for slow tests.
APT_PACKAGES ?= libfluidsynth3 timgm6mb-soundfont fluid-soundfont-gm

ifeq ($(origin PYTHON), undefined)
PYTHON := $(or $(wildcard $(BIN)/python),python3)
endif
PY_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
CONSTRAINTS := constraints/$(if $(filter 3.11 3.12,$(PY_VERSION)),full,latest).txt
STAMP := $(VENV)/.made-with-python$(PY_VERSION)
LATEST_STAMP := $(LATEST_VENV)/.made-with-python$(PY_VERSION)
BEAM_STAMP := $(BEAM_VENV)/.made-with-python$(PY_VERSION)

.DEFAULT_GOAL := help
.PHONY: help system venv quickstart train-supervised test test-slow test-latest test-beam lint format bench clean
.DELETE_ON_ERROR:

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

system: ## install the Debian packages that the project needs (apt-get, with sudo if not root)
	@missing=; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing=" python3-venv"; \
	for name in $(APT_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' "$$name" 2>/dev/null | grep -q 'install ok installed' \
	    || missing="$$missing $$name"; \
	done; \
	if [ -z "$$missing" ]; then \
	  echo "No system package is missing."; \
	elif ! command -v apt-get >/dev/null; then \
	  echo "make system knows apt-get only: install the likes of$$missing by hand."; exit 1; \
	else \
	  sudo=; if [ "$$(id -u)" != 0 ]; then sudo=sudo; fi; \
	  $$sudo apt-get update -q && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; \
	fi

venv: $(STAMP) ## make .venv: the package (editable), its extras and the developer tools

# $(call make_venv,FOLDER,CONSTRAINTS,EXTRAS): a pinned environment; a folder of another Python is replaced.
define make_venv
	@case "$(PY_VERSION)" in \
	  3.11|3.12|3.13) ;; \
	  "") echo "No Python answers to '$(PYTHON)': install Python 3.11 to 3.13 or set PYTHON=/path/to/python."; exit 1;; \
	  *) echo "'$(PYTHON)' is Python $(PY_VERSION), needed is 3.11 to 3.13: set PYTHON=/path/to/python."; exit 1;; \
	esac
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: on Debian run 'make system', which installs python3-venv, then try again."; exit 1; }
	@if [ "$$($(1)/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" != "$(PY_VERSION)" ]; then \
	  echo "Making $(1) with Python $(PY_VERSION) and $(2)"; $(PYTHON) -m venv --clear $(1); fi
	@rm -f $(1)/.made-with-python*
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(2) --editable '.[$(3)]'
	@touch $@
endef

$(STAMP): setup.py pyproject.toml $(CONSTRAINTS)
	$(call make_venv,$(VENV),$(CONSTRAINTS),dev)

$(LATEST_STAMP): setup.py pyproject.toml constraints/latest.txt
	$(call make_venv,$(LATEST_VENV),constraints/latest.txt,dev)

$(BEAM_STAMP): setup.py pyproject.toml constraints/beam.txt
	$(call make_venv,$(BEAM_VENV),constraints/beam.txt,dev$(COMMA)beam)

quickstart: $(STAMP) ## train on embedded notes, write notes and a report into runs/quickstart
	$(BIN)/gansynth_quickstart --run_dir=runs/quickstart

train-supervised: $(STAMP) ## train until done, started again when stopped or killed (RUN_DIR=, FLAGS=)
	@exec $(BIN)/gansynth_supervise --run_dir='$(RUN_DIR)' $(FLAGS)

test: $(STAMP) ## run the tests but the slow ones
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(STAMP) ## run the slow tests
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-latest: $(LATEST_STAMP) ## run the fast subset on the newest TensorFlow (.venv-latest)
	$(LATEST_VENV)/bin/python -m pytest -m "latest and not slow" $(PYTEST_ARGS)

test-beam: $(BEAM_STAMP) ## compare TFDS's own NSynth builder with ours (.venv-beam, Python 3.11 or 3.12)
	$(BEAM_VENV)/bin/python -m pytest -k genuine tests/prepare_nsynth_test.py $(PYTEST_ARGS)

lint: $(STAMP) ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## mend style and format where ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure the speed, each benchmark small
	$(BIN)/python -m benchmarks

clean: ## remove what was built and cached; the environments and runs/ stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find gansynth_tf tests flags -name __pycache__ -type d -prune -exec rm -rf {} +
