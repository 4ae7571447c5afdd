# Two commands: `make run` and `make test`. Everything else serves them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
PYTEST_ARGS ?=

.PHONY: run test install install-dev check format bench requirements screenshots soak fresh clean help

help:
	@echo "make run [DATA=folder]   install, start with embedded defaults, load a demo (or the folder), print address and QR code"
	@echo "make test                install, static checks, the whole test suite"
	@echo "make install | check | format | bench | requirements | screenshots | soak | fresh | clean"

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

# What the install step builds: a newer source installs again.
BUILT_FROM := $(shell find webclient render/kernels render/native tools/build_client.py tools/hatch_build.py -type f \
  -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/lib/*' -not -name '*.pyc' 2>/dev/null)

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt $(BUILT_FROM)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

run: install
	exec $(BIN)/cloudfilm demo $(if $(DATA),--data "$(DATA)")

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m tools.check_client

test: check
	$(BIN)/python -m pytest $(PYTEST_ARGS)
	$(BIN)/python -m tools.requirements --summary

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install-dev
	$(BIN)/cloudfilm bench run --json results/bench.json
	$(BIN)/cloudfilm bench report results

requirements: $(VENV)/.created
	@$(BIN)/python -m tools.requirements

screenshots: install-dev
	$(BIN)/python -m tools.screenshots

soak: install-dev
	CLOUDFILM_SOAK_REQUESTS=100000 $(BIN)/python -m pytest -q -s tests/app/viewing/test_soak.py $(PYTEST_ARGS)

fresh:
	bash tools/fresh.sh

clean:
	rm -rf $(VENV) app/static render/native/lib webclient/node_modules results
