# make repro    from this clone to reports/index.html; again, only what a change determines
# make test     the tests                            make slow     those that take minutes
# make lint     layout, lint and types               .ci/run       what CI runs: lint, then test
# make test-isa those on networks, again as on CPUs with AVX2 alone and with neither AVX2 nor AVX-512
# make lab      JupyterLab, at the start              make doctor   what this machine can do
# make bench    speed, as rates                      make lock     renew requirements.lock
# PYTHON=...    the Python 3.11 or newer that .venv is made from
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV   := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Containers often set it: then every stage compiles torch and its like anew, 3 s instead of 1.5 s of CPU for each process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help repro lint test test-isa slow lab doctor bench lock
help:
	@sed -n 's/^# make/make/p; s/^# PYTHON/PYTHON/p' Makefile

# The check first: its one line says more than DVC's pages do about a params.yaml that is wrong.
# Independent stages run side by side, each on one thread; plain `dvc repro` gives the same bytes, one stage after the other.
repro: $(VENV)/.ready
	@python -m v2vbench check
	@python -m v2vbench repro
	@echo "The report is ready: $(CURDIR)/reports/index.html"

lint: $(VENV)/.ready
	ruff check
	ruff format --check
	basedpyright

test: $(VENV)/.ready
	python -m pytest

slow: $(VENV)/.ready
	python -m pytest -m slow

# Convolutions and sums are computed in another order by other instruction sets, and round differently. Torch and oneDNN can be told to
# leave out the newest ones: a CPU with AVX-512 then computes as one with AVX2 does, and any CPU as one of 2008. Where these pass, no
# test rests on the digits of the CPU that it was written on. NumPy and OpenCV keep to the CPU: their part is the same everywhere or
# compared with a tolerance. What differs between CPU makers beyond the instruction set (caches) is not covered.
# These files alone: elsewhere no number comes out of a network.
NETWORKS := reference models train covst judges synthesize evaluate features inception video_extractors future restyle calibrate
test-isa: $(VENV)/.ready
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python -m pytest $(NETWORKS:%=tests/test_%.py)
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 python -m pytest $(NETWORKS:%=tests/test_%.py)

lab: $(VENV)/.ready
	jupyter lab notebooks/00_start.ipynb

doctor: $(VENV)/.ready
	@python -m v2vbench doctor

bench: $(VENV)/.ready
	python -m benchmarks

# uv installs the 248 locked packages by hard links in seconds where pip takes minutes.
# --python: it would otherwise fill whatever environment is active where make was called.
$(VENV)/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "v2vbench needs Python 3.11 or newer: make PYTHON=/path/to/python3.12 repro" >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) from requirements.lock: about 6 GB, once"
	@$(PYTHON) -m venv $(VENV)
	@python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@uv pip sync --quiet --python $(VENV)/bin/python --require-hashes requirements.lock
	@uv pip install --quiet --python $(VENV)/bin/python --no-deps --editable .
	@touch $@

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra test --no-emit-index-url --no-header --upgrade --quiet pyproject.toml --output-file requirements.lock
