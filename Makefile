# make demo   trains a small transformer on the CPU and shows what the compiler did   (about three minutes)
# make test   every test                                                             (under ten minutes)
# make bench  ratios against torch's SDPA, FlexAttention and eager code, written to benchmarks/results/
# make gpu    on a machine with a GPU: correctness, determinism and speed, written there too (under ten minutes)
# make lint   types, style
#
# Each makes its own virtual environment in .venv and installs what it needs. TORCH chooses the torch to install
# (for example TORCH="torch==2.13.0"), PIP_ARGS is passed to pip (an index with other builds, say).

PYTHON ?= python3
TORCH ?= torch==2.13.0
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test bench gpu lint clean

demo: $(STAMP)
	$(BIN)/python -m demo --out demo_out

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests

bench: $(STAMP)
	$(BIN)/python -m benchmarks --out benchmarks/results

gpu: $(STAMP)
	$(BIN)/python -m benchmarks.gpu --out benchmarks/results

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check attnc grammar codegen runtime demo benchmarks tests
	$(BIN)/mypy

# torch goes first and alone, so that no other package's looser requirement chooses its build.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("attnc needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt setuptools "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt --no-build-isolation -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info demo_out
