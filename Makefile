# Two commands for a visitor: `make daily` and `make test`. `make check` is everything that guards a commit.
PYTHON ?= python3
BIN := .venv/bin
HASHED := --quiet --disable-pip-version-check --require-hashes --no-deps

.PHONY: help setup daily test check lint format picture bench bench-node lock clean

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "error: $$($(PYTHON) --version), expected Python 3.11 to 3.13; set PYTHON=python3.12 or so"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(HASHED) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false $(BIN)/python -m flows.scheduled.server
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	$(BIN)/python -m pip install $(HASHED) -r requirements-dev.lock
	@touch $@

setup: .venv/.runtime  ## Make .venv from the hashed lock

daily: .venv/.runtime  ## One full daily run with the default profile
	$(BIN)/hashpivot daily

# Most tests wait for servers and processes of their own, so that four at a time keep two cores busy.
test: .venv/.dev .venv/.reader  ## Run every test
	$(BIN)/python -m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder

# An old DuckDB in an environment of its own: publications must stay readable by the drivers of BI tools.
.venv/.reader: tests/warehouse/reader.lock .venv/.runtime
	$(PYTHON) -m venv .venv/reader
	.venv/reader/bin/python -m pip install $(HASHED) -r tests/warehouse/reader.lock
	@touch $@

# bitcoin-etl, which the extraction from a node is compared with; it comes as source only and names old versions of all.
.venv/.peers: benchmarks/peers.lock benchmarks/peers-build.lock .venv/.runtime
	$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/python -m pip install $(HASHED) -r benchmarks/peers-build.lock
	.venv/peers/bin/python -m pip install $(HASHED) --no-build-isolation -r benchmarks/peers.lock
	@touch $@

lint: .venv/.dev  ## Format, lint, types, import contracts, dictionary, registry
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hashpivot dictionary --check
	$(BIN)/hashpivot registry check

check: lint test  ## Everything that guards a commit

format: .venv/.dev  ## Put the code in its form and refresh generated pages
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/hashpivot dictionary

picture: .venv/.runtime  ## Draw the README's picture from a demo run of a fixed day
	$(BIN)/hashpivot daily --plain --home build/picture --day 2026-11-20
	$(BIN)/hashpivot show --home build/picture --svg docs/summary.svg

# What a user has: no pandas, which Pandera would import where it is.
.venv/.user: requirements.lock pyproject.toml .venv/.runtime
	$(PYTHON) -m venv .venv/user
	.venv/user/bin/python -m pip install $(HASHED) -r requirements.lock
	.venv/user/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

bench: .venv/.dev .venv/.user  ## Measure against pandas and hand-written SQL
	$(BIN)/python -m benchmarks

bench-node: .venv/.dev .venv/.peers  ## Measure blocks of a node: against bare parsers, DuckDB and bitcoin-etl
	$(BIN)/python -m benchmarks.attribution
	$(BIN)/python -m benchmarks.bitcoin_etl

lock: .venv/.dev  ## Resolve the dependencies anew, for Python 3.11 to 3.13
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --extra build pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	echo "duckdb==1.2.2" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --output-file tests/warehouse/reader.lock -
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --override benchmarks/peers.in benchmarks/peers.in --output-file benchmarks/peers.lock
	echo "setuptools>=80" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --output-file benchmarks/peers-build.lock -

clean:  ## Remove the environment and build output
	rm -rf .venv build
