# make demo   trains a small transformer on the CPU and shows what the compiler did   (about three minutes)
# make test   every test                                                        (15 to 25 minutes on two cores)
# make bench  ratios against torch's SDPA, FlexAttention and eager code, written to benchmarks/results/
# make gpu    on a machine with a GPU: correctness, determinism and speed, written there too (under ten minutes)
# make matrix kernels compiled for every GPU architecture, without one, and what each takes; written there too
# make lint   types, style
#
# Each makes its own virtual environment in .venv and installs what it needs. TORCH and TRITON choose what to install
# (for example TORCH="torch==2.13.0" TRITON="triton==3.7.1"; TRITON= leaves the choice to torch), PIP_ARGS is passed to
# pip (an index with other builds, say).

PYTHON ?= python3
TORCH ?= torch==2.13.0
ifeq ($(shell uname -s),Linux)
TRITON ?= triton==3.7.1
endif
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# the oldest and the newest Triton that pyproject.toml allows, beside the one in use; the oldest needs an older numpy
OTHER_TRITONS := 3.6.0 3.9.0
OTHERS := $(VENV)/triton/.installed

.PHONY: demo test bench gpu matrix lint clean

demo: $(STAMP)
	$(BIN)/python -m demo --out demo_out

test: $(STAMP) $(OTHERS)
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests

bench: $(STAMP)
	$(BIN)/python -m benchmarks --out benchmarks/results

gpu: $(STAMP)
	$(BIN)/python -m benchmarks.gpu --out benchmarks/results

matrix: $(STAMP)
	$(BIN)/python -m benchmarks.matrix

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check attnc grammar codegen runtime demo benchmarks tests
	$(BIN)/mypy

# torch goes first and alone, so that no other package's looser requirement chooses its build.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("attnc needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt setuptools "$(TORCH)" $(TRITON)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt --no-build-isolation -e ".[dev]"
	touch $(STAMP)

$(OTHERS): $(STAMP)
	mkdir -p $(@D)
ifeq ($(shell uname -s),Linux)
	for version in $(OTHER_TRITONS); do \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --no-deps --upgrade \
	    --target $(@D)/$$version triton==$$version || exit 1; \
	done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --no-deps --upgrade \
	  --target $(@D)/3.6.0 "numpy<2.4"
endif
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo_out
