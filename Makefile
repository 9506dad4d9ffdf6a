# docs/README.md lists these targets; CI runs `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(PYTHON) requirements/install.py
# Two lock files, because `make demo` and `make up` need far fewer packages than the tests.
LOCAL := $(VENV)/.installed-local
DEV := $(VENV)/.installed-dev
# Programs that tests start. Each has a virtual environment of its own, so that its pinned versions do not restrict byok's.
TOOLS := .tools
AWS_CLI := $(TOOLS)/awscli/.installed
ORACLE := $(TOOLS)/oracle/.installed
OIDC := $(TOOLS)/oidc/.installed
PICTURES := $(TOOLS)/bench/.installed
MUTMUT := $(TOOLS)/mutation/.installed
ZENSICAL := $(TOOLS)/docs/.installed

# If this variable were set, every process that the tests and the demo start would compile all its imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo up docs test lint faults mutation api-fuzz bench api-bench page-bench compare peers format lock clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(DEV) ## Install everything that development needs into .venv, from requirements/dev.lock.

$(DEV): requirements/dev.lock requirements/installer.lock requirements/install.py pyproject.toml
	@$(INSTALL) $(VENV) requirements/dev.lock --editable .
	@touch $(LOCAL) $(DEV)

$(LOCAL): requirements/local.lock requirements/installer.lock requirements/install.py pyproject.toml
	@$(INSTALL) $(VENV) requirements/local.lock --editable .
	@touch $(LOCAL)

$(AWS_CLI): requirements/awscli.lock $(DEV)
	@$(INSTALL) --installer $(VENV) $(TOOLS)/awscli requirements/awscli.lock
	@touch $(AWS_CLI)

# The OIDC provider with which the tests sign users in.
$(OIDC): requirements/oidc.lock $(DEV)
	@$(INSTALL) --installer $(VENV) $(TOOLS)/oidc requirements/oidc.lock
	@touch $(OIDC)

# Another policy evaluator, whose results the tests compare with byok's. Without node and npm, these tests are skipped with
# a message.
$(ORACLE): tests/policy_simulator/package.json tests/policy_simulator/package-lock.json
	@mkdir -p $(TOOLS)/oracle
	cp $^ $(TOOLS)/oracle
	if command -v node > /dev/null && command -v npm > /dev/null; then \
	  npm ci --prefix $(TOOLS)/oracle --ignore-scripts --no-audit --no-fund --loglevel error && touch $(ORACLE); fi

$(PICTURES): requirements/pictures.lock $(DEV)
	@$(INSTALL) --installer $(VENV) $(TOOLS)/bench requirements/pictures.lock
	@touch $(PICTURES)

$(MUTMUT): requirements/mutation.lock $(DEV)
	@$(INSTALL) --installer $(VENV) $(TOOLS)/mutation requirements/mutation.lock
	@touch $(MUTMUT)

$(ZENSICAL): requirements/docs.lock $(LOCAL)
	@$(INSTALL) --installer $(VENV) $(TOOLS)/docs requirements/docs.lock
	@touch $(ZENSICAL)

demo: $(LOCAL) ## Provision one environment locally, and another that stops at a disabled key until the fix.
	$(BIN)/byok demo

# Builds the documentation if it does not exist yet; `make docs` builds it again.
up: $(LOCAL) ## Run wizard and HTTP API (8000), Temporal (7233, UI 8233), local AWS (4566) and a worker, until Ctrl-C.
	@test -d byok/_site || $(MAKE) --no-print-directory docs || echo "Continuing without the documentation."
	$(BIN)/byok up

docs: $(ZENSICAL) ## Build the documentation site, which `byok web` serves under /docs.
	$(BIN)/python -m docsite

wheel: setup docs ## Build the wheel, with the documentation, in dist, to install byok on another machine.
	$(BIN)/python -m hatchling build --target wheel

lint: setup ## Check formatting, lint, types and import directions.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Installs a browser if this machine has none. If that fails, the tests that need a browser are skipped with a message.
.PHONY: browser
browser: setup
	$(BIN)/python -m tests.wizard.browsers

# A test that hangs fails after 15 minutes. A test process that crashes is not replaced: if it crashes in the last test,
# pytest-xdist 3.8 waits forever for its replacement.
test: setup lint browser $(AWS_CLI) $(ORACLE) $(OIDC) $(ZENSICAL) ## Run everything that CI runs.
	$(BIN)/pytest -n auto --timeout=900 --max-worker-restart=0

faults: setup ## Inject every fault into real processes, and write docs/faults.md: half an hour.
	BYOK_TEST_FAULTS=full BYOK_TEST_FAULTS_REPORT=docs/faults.md $(BIN)/pytest -q -s tests/faults

.PHONY: browser-matrix
browser-matrix: browser ## Take every way through the wizard in every window, with pictures in .pictures: half an hour.
	BYOK_TEST_BROWSER_MATRIX=full BYOK_TEST_PICTURES=.pictures $(BIN)/pytest -q --timeout=900 tests/e2e/test_web_journeys.py

# mutmut numbers the changes to each function. By default, the target makes those whose numbers end in 7.
MUTANTS ?= *__mutmut_*7

mutation: setup $(MUTMUT) ## Change byok's code, and list the changes that no unit test detects: up to an hour.
	rm -rf mutants
	PYTHONPATH=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") \
	  $(TOOLS)/mutation/bin/mutmut run --max-children 2 '$(MUTANTS)'
	$(BIN)/python -m tests.mutation.error_table
	$(BIN)/python -m tests.mutation.report

api-fuzz: setup ## Send at least 10,000 requests, valid and invalid by the OpenAPI document, to a real server.
	BYOK_TEST_API_EXAMPLES=800 $(BIN)/pytest -q -s tests/e2e/test_web_api.py -k openapi

bench: setup $(PICTURES) ## Compare speed, cost and scale with a bare boto3 script, and write docs/benchmarks.md: 60 minutes.
	$(BIN)/python -m bench $(BENCH)
	$(if $(BENCH),,$(TOOLS)/bench/bin/python -m bench.charts .bench/results.json docs)

peers: setup ## Do the same work with other tools: a quarter of an hour or more.
	$(BIN)/python -m bench.peers

api-bench: setup ## Compare the HTTP API with a bare handler that makes the same Temporal calls: a minute and a half.
	$(BIN)/python -m bench.web.api

page-bench: setup ## Compare the wizard's pages with a bare handler that makes the same Temporal calls: two minutes.
	$(BIN)/python -m bench.web.pages

compare: setup ## Compare the times of set-up, demo, help and tests with BASE=<commit>: an hour or more.
	$(BIN)/python -m bench.compare_commits $(BASE)

format: setup ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-header --no-annotate --quiet

lock: setup ## Resolve the dependencies again, with hashes, for every platform.
	$(COMPILE) --upgrade --output-file requirements/dev.lock pyproject.toml --all-extras --group dev
	$(COMPILE) --output-file requirements/local.lock pyproject.toml --extra local --constraint requirements/dev.lock
	$(COMPILE) --output-file requirements/localaws.lock pyproject.toml --extra localaws --constraint requirements/dev.lock
	$(COMPILE) --output-file requirements/image.lock pyproject.toml --constraint requirements/dev.lock
	$(COMPILE) --output-file requirements/installer.lock --group installer --constraint requirements/dev.lock
	$(COMPILE) --upgrade --output-file requirements/awscli.lock requirements/awscli.in
	$(COMPILE) --upgrade --output-file requirements/oidc.lock requirements/oidc.in
	$(COMPILE) --upgrade --output-file requirements/pictures.lock requirements/pictures.in
	$(COMPILE) --upgrade --output-file requirements/docs.lock requirements/docs.in
	$(COMPILE) --upgrade --output-file requirements/mutation.lock requirements/mutation.in --constraint requirements/dev.lock
	npm install --prefix tests/policy_simulator --package-lock-only --omit-lockfile-registry-resolved=true --no-audit --no-fund

clean: ## Remove .venv, the programs that tests start, caches and local data.
	rm -rf $(VENV) $(TOOLS) byok/_site .byok .bench mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
