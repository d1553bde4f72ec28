# make repro   from this clone to reports/index.html        make test   the tests that CI runs
# make lab     JupyterLab on notebooks/                     make lock   renew requirements.lock
PYTHON ?= python3
VENV   := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test slow lab lock
repro: $(VENV)/.ready
	dvc repro
	@echo "The report is ready: $(CURDIR)/reports/index.html"

test: $(VENV)/.ready
	python -m pytest

slow: $(VENV)/.ready
	python -m pytest -m slow

lab: $(VENV)/.ready
	jupyter lab notebooks

# uv installs the 245 locked packages by hard links in seconds where pip takes minutes.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "v2vbench needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make repro PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	uv pip sync --require-hashes requirements.lock
	uv pip install --no-deps --editable .
	@touch $@

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra test --no-emit-index-url --no-header --upgrade --quiet pyproject.toml --output-file requirements.lock
