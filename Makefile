# The one door to this repository. `make help` lists what it does.
# Works with GNU make 3.81 and later, on Linux and macOS. Nothing outside this folder is installed.

SHELL = /bin/sh
.DEFAULT_GOAL = help

# Another interpreter or place: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON =
VENV = .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

DEMO_FLAGS =
BENCH_FLAGS =
SOAK_FLAGS =
PYTEST_FLAGS = -n 2

.PHONY: help demo test unit check format dev bench docs faults money soak lock venv clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -e 's/:.*## /	/' | sort | while IFS='	' read -r name what; do \
	    printf '  make %-8s %s\n' "$$name" "$$what"; done

demo: $(STAMP) ## the main job on a local language model, with no API key
	@$(BIN)/tidegate demo $(DEMO_FLAGS)

test: $(STAMP) ## every test; the summary comes last
	@$(BIN)/python -m pytest $(PYTEST_FLAGS)

unit: $(STAMP) ## the quick tests alone
	@$(BIN)/python -m pytest $(PYTEST_FLAGS) -m "not slow"

check: $(STAMP) ## format, lint, types, floors, the Dockerfile, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/hadolint.py Dockerfile
	$(BIN)/python tools/reference.py --check

format: $(STAMP) ## put the code into its one form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dev: $(STAMP) ## gateway, control process and scripted provider, with a ready key
	@$(BIN)/python tools/dev.py

bench: $(STAMP) ## measure side by side with others; takes a while
	@$(BIN)/python -m benchmarks $(BENCH_FLAGS)

faults: $(STAMP) ## what clients see of a provider's faults, the sixteen first
	@$(BIN)/python tools/faults.py

money: $(STAMP) ## caps that hold and bills that match, every figure with its arithmetic
	@$(BIN)/python tools/money.py

soak: $(STAMP) ## ten minutes of 200 streams under faults, and whether all of it held
	@$(BIN)/python -m benchmarks.soak $(SOAK_FLAGS)

docs: $(STAMP) ## write the generated pages of docs/reference again
	$(BIN)/python tools/reference.py

lock: $(STAMP) ## resolve the dependencies again into requirements/
	@sh tools/lock.sh $(VENV)

venv: $(STAMP) ## only make the virtual environment

clean: ## remove the virtual environment and everything that was made
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache benchmarks/out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements/dev.txt pyproject.toml tools/venv.sh
	@PYTHON="$(PYTHON)" sh tools/venv.sh $(VENV)
	@touch $(STAMP)
