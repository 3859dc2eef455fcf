# Needs make, git and a Python >= 3.11 (PY=python3.13 names one); everything else is installed into .venv.
.DEFAULT_GOAL := help
.PHONY: help run test test-latest image check client proof mutants bench bench-quick format schema lock

PORT ?= 8000
CLERK_PORT ?= 8001
export PY
PYTHON := .venv/bin/python
EXPORT := uv export --quiet --locked --no-header --no-emit-project

# What the commands of `make check` need to start; nothing of it is used.
CHECK_ENVIRONMENT := DJANGO_DEBUG=true DATABASE_URL=sqlite:///.check.sqlite3 \
	CLERK_ISSUER=https://clerk.example.test CLERK_JWKS_URL=https://clerk.example.test/jwks \
	CLERK_AUTHORIZED_PARTIES=https://app.example.test

help:
	@echo "make run      the API on 127.0.0.1:$(PORT) and a local stand-in for Clerk on 127.0.0.1:$(CLERK_PORT)"
	@echo "make test     every test, on a throwaway PostgreSQL, then on SQLite, then through PgBouncer if it is here"
	@echo "make test-latest   the same with the newest of everything that the ranges allow, in .venv-latest"
	@echo "make image    build the container image and try it (docker or buildah; BASE=, IMAGE=)"
	@echo "make check    lint, format, types, import contracts, migrations, API schema, lock"
	@echo "make proof    the long proofs: order, races, faults, fuzz (15 minutes at most; SEED=N repeats a run)"
	@echo "make mutants  break the code in 2,000 places and count what the tests notice: an hour at most"
	@echo "make bench    the figures, beside what people would use instead: five minutes; make bench-quick: one"
	@echo "make client   write the TypeScript client anew from api/openapi.yaml and build it (needs Node >= 20)"
	@echo "make format   mend what the formatter and the linter can mend"
	@echo "make schema   write api/openapi.yaml anew"
	@echo "make lock     resolve the dependencies anew and write requirements*.txt (needs uv)"

run:
	@.ci/ports PORT=$(PORT) CLERK_PORT=$(CLERK_PORT)
	@.ci/venv requirements.txt
	@DJANGO_DEBUG=true exec $(PYTHON) manage.py devclerk up --port $(PORT) --clerk-port $(CLERK_PORT)

test:
	@.ci/venv requirements-dev.txt
	@.ci/client build
	@$(PYTHON) -m tests

test-latest:
	@.ci/venv-latest
	@.ci/client build
	@.venv-latest/bin/python -m tests

image:
	@BASE="$(BASE)" IMAGE="$(IMAGE)" .ci/image

check:
	@.ci/venv requirements-dev.txt
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy .
	.venv/bin/lint-imports
	.venv/bin/deptry .
	$(CHECK_ENVIRONMENT) $(PYTHON) manage.py makemigrations --check --dry-run
	@mkdir -p test-output
	$(CHECK_ENVIRONMENT) $(PYTHON) manage.py spectacular --validate --fail-on-warn --file test-output/openapi.yaml
	@diff -u api/openapi.yaml test-output/openapi.yaml || \
		{ echo "api/openapi.yaml is not what the code says: run make schema and commit it." >&2; exit 1; }
	@if uv --version >/dev/null 2>&1; then \
		uv lock --check && $(EXPORT) --no-dev | diff requirements.txt - && $(EXPORT) | diff requirements-dev.txt - || \
			{ echo "The lock is not what pyproject.toml says: run make lock and commit it." >&2; exit 1; } \
	else echo "not compared: pyproject.toml with uv.lock (uv is not here)"; fi
	@.ci/client check

client:
	@REQUIRE_NODE=1 .ci/client generate build

proof:
	@proof/venv
	@.venv-proof/bin/python -m proof $(if $(SEED),--seed $(SEED))

mutants:
	@proof/venv
	@nice -n 10 .venv-proof/bin/python -m proof.mutants $(MODULES)

bench:
	@benchmarks/venv
	@.venv-bench/bin/python -m benchmarks

bench-quick:
	@benchmarks/venv
	@.venv-bench/bin/python -m benchmarks --quick

format:
	@.ci/venv requirements-dev.txt
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

schema:
	@.ci/venv requirements-dev.txt
	$(CHECK_ENVIRONMENT) $(PYTHON) manage.py spectacular --validate --fail-on-warn --file api/openapi.yaml
	$(CHECK_ENVIRONMENT) $(PYTHON) manage.py spectacular --validate --fail-on-warn --urlconf tests.clients.labels \
		--file clients/typescript/tests/openapi.yaml

lock:
	uv lock --upgrade
	$(EXPORT) --no-dev >requirements.txt
	$(EXPORT) >requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		--no-emit-index-url --output-file benchmarks/requirements.txt benchmarks/requirements.in
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		--no-emit-index-url --output-file proof/requirements.txt proof/requirements.in
