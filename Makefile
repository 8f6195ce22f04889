# Every target but help, system and clean stands on .venv, which is made when it is missing.
#
# PYTHON     the interpreter that makes the environments: 3.11, 3.12 or 3.13
# PYTEST     what more pytest shall be told, as in: make test PYTEST="-k schedule -x"

PYTHON ?= python3
PYTEST ?=

# Debian's names of the system packages that tests and reports use. None so far: what is native
# (libsndfile, for one) comes inside the wheels. A test that needs one skips with a reason that
# begins with "system package missing:", and .ci/run takes that for a failure.
APT_PACKAGES ?=

# "3.11 full": the interpreter's version, and the constraints file that is its default.
FACTS := $(shell $(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	print("%d.%d" % v, "none" if not (3, 11) <= v < (3, 14) else "full" if v < (3, 13) else "latest")' \
	2>/dev/null)
VERSION := $(firstword $(FACTS) unknown)
STACK := $(word 2,$(FACTS) none)

# A stamp names the Python, so that another PYTHON makes the environment anew.
VENV := .venv/.made-by-$(VERSION)
VENV_LATEST := .venv-latest/.made-by-$(VERSION)
PACKAGING := setup.py pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv venv-latest system quickstart test test-slow test-latest lint format bench clean

help:  ## these lines
	@grep -E '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | \
		awk -F ':.*  ## ' '{ printf "make %-13s %s\n", $$1, $$2 }'

# $(call install,FOLDER,STACK): an environment with the package, editable, and the tools.
define install
	@test "$(VERSION)" != unknown || \
		{ echo "make: $(PYTHON) does not run; name a Python: make venv PYTHON=python3.11"; exit 1; }
	@test "$(STACK)" != none || \
		{ echo "make: $(PYTHON) is Python $(VERSION), and 3.11, 3.12 or 3.13 is needed:" \
			"make venv PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $(PYTHON) lacks its venv module; on Debian and Ubuntu run 'make system'" \
			"or 'apt-get install python$(VERSION)-venv'."; exit 1; }
	@echo "make: Python $(VERSION), constraints/$(2).txt, into $(1) (some 2.5 GB; a few minutes)"
	@test -e $(1)/.made-by-$(VERSION) || $(PYTHON) -m venv --clear $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints/$(2).txt -e '.[dev]'
	@touch $(1)/.made-by-$(VERSION)
endef

$(VENV): $(PACKAGING) $(wildcard constraints/$(STACK).txt)
	$(call install,.venv,$(STACK))

$(VENV_LATEST): $(PACKAGING) constraints/latest.txt
	$(call install,.venv-latest,latest)

venv: $(VENV)  ## .venv with the package, editable, and every developer tool

venv-latest: $(VENV_LATEST)  ## .venv-latest: the same on the newest TensorFlow

system:  ## system packages by apt-get, where one is missing
	@missing=""; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing=" python3-venv"; \
	for name in $(APT_PACKAGES); do \
		dpkg-query -W -f '$${Status}' "$$name" 2>/dev/null | grep -q 'ok installed' || \
			missing="$$missing $$name"; \
	done; \
	if [ -z "$$missing" ]; then echo "make: no system package is missing"; exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "make: no apt-get here; install by other means:$$missing"; exit 1; \
	fi; \
	sudo=""; if [ "$$(id -u)" != 0 ]; then sudo=sudo; fi; \
	$$sudo apt-get update -q && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

quickstart: $(VENV)  ## train a small GANSynth and make its report: runs/quickstart
	.venv/bin/gansynth_quickstart --run_dir=runs/quickstart

test: $(VENV)  ## the quick tests
	.venv/bin/python -m pytest -m "not slow" $(PYTEST)

test-slow: $(VENV)  ## the tests that take minutes
	.venv/bin/python -m pytest -m slow $(PYTEST)

test-latest: $(VENV_LATEST)  ## a quick subset on the newest TensorFlow
	.venv-latest/bin/python -m pytest -m "latest and not slow" $(PYTEST)

lint: $(VENV)  ## ruff: rules and format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: $(VENV)  ## ruff: mend what can be mended, format the rest
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: $(VENV)  ## benchmarks, where there are some
	@if [ -e benchmarks/__main__.py ]; then .venv/bin/python -m benchmarks; \
	else echo "make: there are no benchmarks yet"; fi

clean:  ## builds and caches; environments and runs stay
	rm -rf build dist *.egg-info .hypothesis .pytest_cache .ruff_cache
	find gansynth_tf tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
