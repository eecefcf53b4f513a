# Everything starts from a fresh clone with Python 3.11 to 3.13, gcc, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
LOCK_TOOL := build/lock-tool
UV_VERSION := 0.13.9

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help setup check test demo bench format lock clean

help: ## what there is to type
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  DEMO_ONCE=1 make demo      stop by itself, exit 0 only if the hub equals what the ERP says"
	@echo "  BENCH_N=100000 make bench  one size only"

setup: $(STAMP) ## make .venv from the lock (the second call is instant)
	@:

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and \
	    "KWikSync needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is %d.%d. Name another: make setup PYTHON=python3.11" % v)'
	@echo "Setting up $(VENV) from requirements.txt: about two minutes, once."
	@rm -f $@
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "  1/2 installing the locked packages, each checked by its hash"
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements.txt
	@echo "  2/2 installing kwiksync-ops, editable"
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Ready: $(BIN)/kwiksync, $(BIN)/airflow."

check: setup ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: check ## check, then all tests with branch coverage, on three processes
	@$(BIN)/python -m tests.support.debian
	$(BIN)/python -m pytest --cov --cov-report=term -n 3 --dist loadfile --no-loadscope-reorder

demo: setup ## a sample ERP, Airflow and two syncs, live
	@$(BIN)/python include/demo/run.py

bench: setup ## speed and memory of the inbound path, beside dlt
	@$(BIN)/python tests/bench/run.py

format: setup ## put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve pyproject.toml anew into requirements.txt (LOCK_FLAGS=--upgrade for newer versions)
	@test -x $(LOCK_TOOL)/bin/uv || { $(PYTHON) -m venv $(LOCK_TOOL) && $(LOCK_TOOL)/bin/pip install -qq uv==$(UV_VERSION); }
	@cp requirements.txt build/lock.txt
	@$(LOCK_TOOL)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --all-extras \
	    --no-strip-extras --no-header $(LOCK_FLAGS) pyproject.toml -o build/lock.txt
	@$(PYTHON) .ci/lock.py < build/lock.txt > requirements.txt
	@echo "requirements.txt holds $$(grep -c '==' requirements.txt) pins."

clean: ## remove what was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
