# `make demo` and `make test` set up everything they need by themselves.
# Environments are kept outside the checkout, under the hash of what they were built from.
PYTHON  ?= python3
WORKERS ?= 4
CACHE  ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/flywheel
LOCKS  := flywheel/locks/core.lock flywheel/locks/dev.lock
HASH   := $(shell cat $(LOCKS) | $(PYTHON) -c "import hashlib,sys; print(hashlib.sha256(sys.stdin.buffer.read() + sys.version.encode()).hexdigest()[:8])")
VENV   := $(CACHE)/envs/dev-$(HASH)
PY     := $(VENV)/bin/python
export PYTHONPATH := $(CURDIR)
export PATH := $(VENV)/bin:$(PATH)
# Hundreds of processes are started here: each one compiling everything anew would take half a second more.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test check fast soak fuzz bench docs setup envs

help:
	@echo "make demo    the whole loop on a tiny model, on this machine"
	@echo "make test    every check and every test"
	@echo "make fast    the checks and the tests that need neither training nor vLLM"
	@echo "make check   linters, types, floors"
	@echo "make soak    the long ones"
	@echo "make fuzz    the property tests with 20 times as many examples, new ones in every run"
	@echo "make bench   every benchmark, printed"
	@echo "make docs    the tables of events, intents and facts, written from the registries"

demo: setup
	@$(PY) -m flywheel demo

test: check envs
	@$(PY) -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder

fast: check
	@$(PY) -m pytest -m "not train and not vllm and not slow"

check: setup
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy && $(VENV)/bin/lint-imports

soak: envs
	@FLYWHEEL_SOAK=1 $(PY) -m pytest -m slow --timeout 7200

fuzz: envs
	@FLYWHEEL_FUZZ=20 $(PY) -m pytest -n $(WORKERS) --timeout 3600

bench: envs
	@for file in benchmarks/*.py; do echo "== $$file"; $(PY) $$file || exit 1; done

docs: setup
	@$(PY) tests/docs/write_reference.py

envs: setup
	@$(PY) -m flywheel env create train serve --cpu

setup: $(VENV)/.whole

$(VENV)/.whole:
	@echo "setting up $(VENV) (once)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r flywheel/locks/core.lock -r flywheel/locks/dev.lock
	@touch $@
