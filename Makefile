# Needs make, git and Python 3.11 or newer (PY=python3.13 selects one); everything else is installed into .venv.
.DEFAULT_GOAL := help
.PHONY: help run example test test-latest image wheel digests audit licences check client proof mutants bench bench-quick format schema migrations rename version lock

PORT ?= 8000
CLERK_PORT ?= 8001
EXAMPLE_PORT ?= 3000
export PY
PYTHON := .venv/bin/python
EXPORT := uv export --quiet --locked --no-header --no-emit-project
PROOF_VENV := .ci/venv --folder .venv-proof requirements-dev.txt requirements-proof.txt
PROOF_NODE := tests/proof/javascript/node_modules
CLERK_NODE := tests/devclerk/javascript/node_modules
# django-clerk-users needs Python 3.12. pyenv adds its versions to PATH only when one is selected.
BENCH_PY = $(or $(PY),python3.13 python3.12 $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python $(HOME)/.pyenv/versions/3.12.*/bin/python) python3)
BENCH_VENV = PY="$(BENCH_PY)" .ci/venv --folder .venv-bench requirements.txt requirements-bench.txt

# The commands of Django do not start without these settings, and those below use none of them.
CHECK_ENVIRONMENT := DJANGO_DEBUG=true DATABASE_URL=sqlite:///.check.sqlite3 \
	CLERK_ISSUER=https://clerk.example.test CLERK_JWKS_URL=https://clerk.example.test/jwks \
	CLERK_AUTHORIZED_PARTIES=https://app.example.test

help:
	@echo "make run      the API on 127.0.0.1:$(PORT) and a local Clerk emulator on 127.0.0.1:$(CLERK_PORT)"
	@echo "make example  both, and a Next.js frontend on http://localhost:$(EXAMPLE_PORT) (needs Node >= 20.9)"
	@echo "make test     every test, on a throwaway PostgreSQL, then on SQLite, the wheel, and PgBouncer if installed"
	@echo "make test-latest   the same with the newest releases that the ranges allow, in .venv-latest"
	@echo "make image    build the container image and test it (docker or buildah; BASE=, IMAGE=)"
	@echo "make wheel    build dist/django_clerk_sync-*.whl, which existing projects install as clerk_sync"
	@echo "make digests  write the newest digest of each base image into the files that name it (docker or skopeo)"
	@echo "make audit    ask osv.dev for known vulnerabilities of each locked package, of Python and npm"
	@echo "make licences write docs/licences.md: the licence of each locked package"
	@echo "make check    lint, format, words, labels, types, import contracts, dependencies, migrations, API schema, lock, client"
	@echo "make proof    the long proofs: order, races, faults, fuzz (15 minutes at most; SEED=N repeats a run)"
	@echo "make mutants  mutation testing with 3,400 mutants: an hour at most"
	@echo "make bench    the benchmark beside its peers: eight minutes; make bench-quick: one"
	@echo "make client   generate the TypeScript client from the API and build it (needs Node >= 20); OUT=DIR writes its"
	@echo "              source into another tree"
	@echo "make format   fix what the formatter and the linter can fix"
	@echo "make schema   regenerate api/openapi.yaml"
	@echo "make migrations   write the migrations of changed models, formatted"
	@echo "make rename   NAME=my-shop: the name of your own clone; licence, figures and lock stay valid"
	@echo "make version  NUMBER=1.2.0: write the version of the next release into each file that contains it"
	@echo "make lock     resolve the dependencies and write requirements*.txt (needs uv)"

run:
	@.ci/ports PORT=$(PORT) CLERK_PORT=$(CLERK_PORT)
	@.ci/venv requirements.txt
	@DJANGO_DEBUG=true exec $(PYTHON) manage.py devclerk up --port $(PORT) --clerk-port $(CLERK_PORT)

example:
	@TARGET=example .ci/ports PORT=$(PORT) CLERK_PORT=$(CLERK_PORT) EXAMPLE_PORT=$(EXAMPLE_PORT)
	@.ci/venv requirements.txt
	@REQUIRE_NODE=1 .ci/example install
	@PORT=$(PORT) CLERK_PORT=$(CLERK_PORT) EXAMPLE_PORT=$(EXAMPLE_PORT) exec .ci/example start

test: $(CLERK_NODE)
	@.ci/venv requirements-dev.txt
	@.ci/client build
	@.ci/example install
	@$(PYTHON) -m tests

test-latest: $(CLERK_NODE)
	@.ci/venv-latest
	@.ci/client build
	@VENV=.venv-latest .ci/example install
	@.venv-latest/bin/python -m tests

image:
	@BASE="$(BASE)" IMAGE="$(IMAGE)" .ci/image

wheel:
	@.ci/venv requirements-dev.txt
	@$(PYTHON) -m hatchling build --target wheel

digests:
	@.ci/digests

audit:
	@"$$(.ci/python)" .ci/audit

licences:
	@.ci/venv requirements-dev.txt
	@$(PYTHON) .ci/licences

check:
	@.ci/venv requirements-dev.txt
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(PYTHON) .ci/words
	$(PYTHON) .ci/labels
	.venv/bin/mypy .
	.venv/bin/lint-imports
	.venv/bin/deptry .
	$(CHECK_ENVIRONMENT) $(PYTHON) manage.py makemigrations --check --dry-run
	$(CHECK_ENVIRONMENT) $(PYTHON) .ci/migrations
	@mkdir -p test-output
	$(CHECK_ENVIRONMENT) $(PYTHON) manage.py spectacular --validate --fail-on-warn --file test-output/openapi.yaml
	@diff -u api/openapi.yaml test-output/openapi.yaml || \
		{ echo "api/openapi.yaml differs from the code: run make schema and commit it." >&2; exit 1; }
	@if uv --version >/dev/null 2>&1; then \
		uv lock --check && $(EXPORT) --no-dev | diff requirements.txt - && $(EXPORT) | diff requirements-dev.txt - && \
			$(EXPORT) --only-group bench | diff requirements-bench.txt - && \
			$(EXPORT) --only-group proof | diff requirements-proof.txt - || \
			{ echo "The lock differs from pyproject.toml: run make lock and commit it." >&2; exit 1; } \
	else echo "not compared: pyproject.toml with uv.lock (uv is not installed)"; fi
	@.ci/client check

client:
	@test -x .venv/bin/python && .venv/bin/python -c 'import drf_spectacular' 2>/dev/null || .ci/venv requirements.txt
	@$(CHECK_ENVIRONMENT) $(PYTHON) manage.py spectacular --validate --fail-on-warn --file api/openapi.yaml
	@OUT="$(OUT)" REQUIRE_NODE=1 .ci/client generate $(if $(OUT),copy,build)

proof: $(PROOF_NODE)
	@$(PROOF_VENV)
	@.venv-proof/bin/python -m tests.proof $(if $(SEED),--seed $(SEED))

# Clerk's JavaScript packages; without npm, or if they cannot be installed, what needs them is skipped.
$(PROOF_NODE) $(CLERK_NODE): %/node_modules: %/package-lock.json
	@if npm --version >/dev/null 2>&1; then cd $(@D) && npm ci --silent --ignore-scripts --no-audit --no-fund && touch node_modules || \
		echo "not tested: Clerk's JavaScript packages of $(@D) (they could not be installed)" >&2; fi

mutants:
	@$(PROOF_VENV)
	@nice -n 10 .venv-proof/bin/python -m tests.proof.mutants $(MODULES)

bench:
	@$(BENCH_VENV)
	@.venv-bench/bin/python -m benchmarks

bench-quick:
	@$(BENCH_VENV)
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

migrations:
	@.ci/venv requirements-dev.txt
	$(CHECK_ENVIRONMENT) $(PYTHON) manage.py makemigrations
	@.venv/bin/ruff check --fix --quiet */migrations && .venv/bin/ruff format --quiet */migrations

rename:
	@"$$(.ci/python)" .ci/rename "$(NAME)"

version:
	@"$$(.ci/python)" .ci/version "$(NUMBER)"

lock:
	uv lock --upgrade
	$(EXPORT) --no-dev >requirements.txt
	$(EXPORT) >requirements-dev.txt
	$(EXPORT) --only-group bench >requirements-bench.txt
	$(EXPORT) --only-group proof >requirements-proof.txt
