# Every target sets up what it needs: a machine with make and Python 3.11 or newer is enough.
# Another interpreter: make PYTHON=/usr/bin/python3.12 demo

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := .venv/bin/
STAMP := .venv/.installed

# uv takes the interpreter above and never downloads one.
export UV_PYTHON_DOWNLOADS := never
# A company's own certificate authority is known to the machine, not to uv.
export UV_SYSTEM_CERTS := true
# Each test and each task reads its settings from its own home, never from the caller's.
unexport AIRFLOW_HOME AIRFLOW_CONFIG

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-provider test-sandbox test-end-to-end test-s3 lint format docs bench screenshots wheel clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv with everything in it

demo: $(STAMP) ## Run the main DAGs on a real Airflow against the sandbox and check the outcome
	@$(RUN)python -m demo run

up: $(STAMP) ## Leave Airflow's UI and the sandbox running until Ctrl-C
	@$(RUN)python -m demo up

test: lint ## Everything: lint, types, import rules, unit, integration and end-to-end tests (in a browser too)
	command -v chromium || apt-get install --yes chromium
	@$(MAKE) --no-print-directory --jobs 3 --keep-going --output-sync=target test-end-to-end test-provider test-sandbox

test-provider: $(STAMP)
	$(RUN)python -m pytest -m "not e2e" tests

test-sandbox: $(STAMP)
	$(RUN)python -m pytest sandbox/tests

test-end-to-end: $(STAMP)
	$(RUN)python -m pytest -m e2e

test-s3: $(UV) ## Files and ledgers at S3, against a server on loopback; makes .venv-s3
	UV_PROJECT_ENVIRONMENT=.venv-s3 $(UV) sync --quiet --frozen --all-packages --no-default-groups --group s3 --python "$(PYTHON)"
	.venv-s3/bin/python -m pytest tests/integration/s3

lint: $(STAMP) ## Style, types and import rules
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports

format: $(STAMP) ## Rewrite the code in the one style
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

docs: $(STAMP) ## Make the reference of all public classes from their docstrings, in dist/reference
	PYTHONWARNINGS=ignore AIRFLOW_HOME=$(CURDIR)/dist/airflow $(RUN)pdoc --docformat restructuredtext --output-directory dist/reference airflow_provider_visma

bench: $(STAMP) ## Measure each hot path beside its peers; installs Debian's curl where it is missing
	command -v curl || apt-get install --yes curl
	$(RUN)python -m benchmarks

screenshots: $(STAMP) ## Take the pictures in docs/images; installs Debian's chromium where it is missing
	command -v chromium || apt-get install --yes chromium
	$(RUN)python -m demo.screenshots docs/images

wheel: $(STAMP) ## Build the distributions of provider and sandbox into dist/
	$(UV) build --all-packages

clean: ## Remove what the other targets made, the virtual environment included
	rm -rf .venv .venv-s3 .tools .demo dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): $(UV) uv.lock pyproject.toml sandbox/pyproject.toml
	@echo "Installing into .venv; the first time this downloads some 200 packages"
	@$(UV) sync --quiet --frozen --all-packages --compile-bytecode --python "$(PYTHON)"
	@touch $@

$(UV):
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d; 3.11 or newer is needed: make PYTHON=<path> <target>" % sys.version_info[:2])'
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
