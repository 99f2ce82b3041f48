# ecif: two commands are enough: make run, make test. `make help` lists the others.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
EVAL_DATA ?= ../shared/data
EVAL_SCORE ?= ../shared/tools/score.py

.DEFAULT_GOAL := help
.PHONY: help run test check eval load-bench api-bench merge-bench setup format lock contract release-contract clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/:/' | awk -F: '{printf "  make %-18s%s\n", $$1, $$2}'

run: $(STAMP) ## set up, make and load a demo bank, serve it at http://127.0.0.1:8000
	@$(BIN)/ecif demo --serve

test: $(STAMP) ## the whole test suite
	@$(PYTEST)

check: $(STAMP) ## what CI runs: format, lint, types, layers, schema, contract, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m ecif.api.contract --check
	@$(PYTEST)

eval: $(STAMP) ## matching quality against labelled data, where there is some
	@$(BIN)/python tests/bench/evaluate.py "$(EVAL_DATA)" "$(EVAL_SCORE)"

load-bench: $(STAMP) ## records per second from file to golden record
	@$(BIN)/python tests/bench/load.py

api-bench: $(STAMP) ## the API under load against a bare FastAPI, at 100,000 customers (ECIF_BENCH_CACHE keeps them)
	@$(BIN)/python tests/bench/api.py

merge-bench: $(STAMP) ## merges, undoes and splits of small and large customers, at 100,000 customers
	@$(BIN)/python tests/bench/merges.py

setup: $(STAMP) ## the virtual environment, with locked dependencies

$(STAMP): requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "$(PYTHON) 未安装 is missing: install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "需要 Python 3.11+ needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "无法创建虚拟环境 cannot make a virtual environment: on Debian, apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

format: $(STAMP) ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

contract: $(STAMP) ## write contracts/openapi.json anew, with the answers to its examples
	@$(BIN)/python tests/examples.py
	@$(BIN)/python -m ecif.api.contract

release-contract: $(STAMP) ## with a release: promise today's contract to callers, who are not broken from then on
	@$(BIN)/python -m ecif.api.contract --release

lock: ## lock the newest dependencies (needs uv)
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements-dev.lock

clean: ## remove the virtual environment and caches
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
