# Two commands for a visitor: `make daily` and `make test`. `make check` is everything that guards a commit.
PYTHON ?= python3
BIN := .venv/bin
HASHED := --quiet --disable-pip-version-check --require-hashes --no-deps
PYTEST := $(BIN)/python -m pytest --numprocesses=5 --dist=loadfile --no-loadscope-reorder
UV := $(BIN)/uv pip install --quiet --no-deps --link-mode=hardlink

# Processes that tests start compile each module of the project once, not once a process.
unexport PYTHONDONTWRITEBYTECODE

# $(call install,ENVIRONMENT,LOCK): with uv, which shares files between environments and uses every core. Where the
# package index stands in pip's configuration, which uv does not read, with pip. A third argument leaves modules to be
# compiled when they are imported.
install = $(UV) $(if $(3),,--compile-bytecode) --require-hashes --python=$(1)/bin/python --requirement=$(2) \
	|| $(BIN)/python -m pip --python=$(1)/bin/python install $(HASHED) --requirement=$(2)
# $(call install_project,ENVIRONMENT): the project itself, in place; its build backend is in the runtime lock.
install_project = $(UV) --no-build-isolation --python=$(1)/bin/python --editable=.

.PHONY: help setup daily test test-long test-superset test-at campaign check lint format picture bench bench-node bench-lake \
	bench-postgresql ducklake lock clean

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "error: $$($(PYTHON) --version), expected Python 3.11 to 3.13; set PYTHON=python3.12 or so"; exit 2; }
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >.venv/uv.lock
	$(BIN)/python -m pip install $(HASHED) -r .venv/uv.lock
	$(call install,.venv,requirements.lock)
	$(call install_project,.venv)
	DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false $(BIN)/python -m flows.scheduled.server
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	$(call install,.venv,requirements-dev.lock)
	@touch $@

setup: .venv/.runtime  ## Make .venv from the hashed lock

daily: .venv/.runtime  ## One full daily run with the default profile
	$(BIN)/hashpivot daily

# What a user has: no pandas and no Hypothesis, which Pandera imports where they are, for half a second a process.
.venv/.user: requirements.lock pyproject.toml .venv/.runtime
	$(PYTHON) -m venv --without-pip .venv/user
	$(call install,.venv/user,requirements.lock)
	$(call install_project,.venv/user)
	cp -R .venv/share .venv/user/
	@touch $@

# Most tests wait for servers and processes of their own, so that five at a time keep two cores busy.
test: .venv/.dev .venv/.user .venv/.reader .venv/.bi .venv/.dask  ## Run every test but the long ones
	$(PYTEST)

test-long: .venv/.dev .venv/.user .venv/.dask .venv/.superset  ## Run the tests that take a minute or more each, which `make test` leaves out
	$(PYTEST) -m long

test-superset: .venv/.dev .venv/.superset  ## Draw the dashboard of deploy/superset in a real Superset
	$(PYTEST) -m long tests/reports/test_superset_dashboard.py

WHEN ?= 2028-02-29 00:30:00
TESTS ?= tests
OFFSET_SECONDS = $(shell echo $$(($$(date -u -d '$(WHEN)' +%s) - $$(date +%s))))
test-at: .venv/.dev .venv/.user .venv/.reader .venv/.bi  ## Run tests with the clock set: WHEN="2028-02-29 00:30:00" TESTS=tests/run
	@if ! command -v cc >/dev/null; then echo "NOT TESTED at $(WHEN): no C compiler for tests/clock_offset.c" >&2; else \
		cc -O2 -shared -fPIC -DOFFSET_SECONDS=$(OFFSET_SECONDS) -o .venv/clock_offset.so tests/clock_offset.c && \
		LD_PRELOAD=$(CURDIR)/.venv/clock_offset.so $(PYTEST) $(TESTS); fi

campaign: .venv/.dev .venv/.user  ## Try at random to break runs: TRIES=1000 for all of docs/reliability.md
	$(BIN)/python -m tests.campaign $(if $(TRIES),--tries $(TRIES),--quick)

# An old DuckDB in an environment of its own: publications must stay readable by the drivers of BI tools.
.venv/.reader: tests/warehouse/reader.lock .venv/.runtime
	$(PYTHON) -m venv --without-pip .venv/reader
	$(call install,.venv/reader,tests/warehouse/reader.lock)
	@touch $@

# What analysts have beside a publication: SQLAlchemy with a driver of DuckDB, pandas, ibis.
.venv/.bi: tests/docs/bi.lock .venv/.runtime
	$(PYTHON) -m venv --without-pip .venv/bi
	$(call install,.venv/bi,tests/docs/bi.lock,uncompiled)
	@touch $@

# What reads shards on several machines, with all that it needs; compiled as far as tests import it.
.venv/.dask: requirements-dask.lock pyproject.toml .venv/.runtime
	$(PYTHON) -m venv --without-pip .venv/dask
	$(call install,.venv/dask,requirements-dask.lock,uncompiled)
	$(call install_project,.venv/dask)
	cp -R .venv/share .venv/dask/
	@touch $@

# Superset, large and slow to start, for one test of its own.
.venv/.superset: deploy/superset/requirements.lock .venv/.runtime
	$(PYTHON) -m venv --without-pip .venv/superset
	$(call install,.venv/superset,deploy/superset/requirements.lock,uncompiled)
	@touch $@

# Into the environment of the project itself; that of the tests has them already.
ducklake: .venv/.runtime  ## Add what publication targets in DuckLake need: the extra hashpivot[ducklake]
	$(call install,.venv,requirements-ducklake.lock)

# bitcoin-etl, which the extraction from a node is compared with; it comes as source only and names old versions of all.
.venv/.peers: benchmarks/peers.lock benchmarks/peers-build.lock .venv/.runtime
	$(PYTHON) -m venv .venv/peers
	$(call install,.venv/peers,benchmarks/peers-build.lock)
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

bench: .venv/.dev .venv/.user  ## Measure against pandas and hand-written SQL
	$(BIN)/python -m benchmarks

bench-node: .venv/.dev .venv/.peers  ## Measure blocks of a node: against bare parsers, DuckDB and bitcoin-etl
	$(BIN)/python -m benchmarks.attribution
	$(BIN)/python -m benchmarks.bitcoin_etl

bench-lake: .venv/.dev .venv/.user  ## Measure a day of the block lake: bytes that are fetched, and memory
	$(BIN)/python -m benchmarks.lake

bench-postgresql: .venv/.dev  ## Measure a publication to PostgreSQL against a plain COPY of the same Parquet files
	$(BIN)/python -m benchmarks.postgresql

# The first lock is resolved with the extra that pins DuckDB, so that all hold the newest one that has its extensions.
lock: .venv/.dev  ## Resolve the dependencies anew, for Python 3.11 to 3.13
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --extra build --extra ducklake --no-emit-package duckdb-extension-ducklake \
		--no-emit-package duckdb-extension-httpfs --no-emit-package duckdb-extension-sqlite-scanner pyproject.toml \
		--output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --extra build --extra dask --constraint requirements.lock --constraint requirements-dev.lock \
		--output-file requirements-dask.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --extra build --extra ducklake --constraint requirements.lock \
		--constraint requirements-dev.lock --output-file requirements-ducklake.lock pyproject.toml
	echo "duckdb==1.2.2" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --output-file tests/warehouse/reader.lock -
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate tests/docs/bi.in --output-file tests/docs/bi.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate deploy/superset/requirements.in --output-file deploy/superset/requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --override benchmarks/peers.in benchmarks/peers.in --output-file benchmarks/peers.lock
	echo "setuptools>=80" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --output-file benchmarks/peers-build.lock -

clean:  ## Remove the environment and build output
	rm -rf .venv build
