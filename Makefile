# `make demo` and `make test` work on a fresh clone with Python 3.11 or later and no GPU.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
TEST_PROCESSES ?= 3

# uv does not read pip's settings; a folder of wheels that pip is told of is given to it too.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export VLLM_NO_USAGE_STATS = 1
export RAY_USAGE_STATS_ENABLED = 0
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test check test-all install bench consumers clean

demo: $(STAMP)
	$(BIN)/stepforge run configs/demo.toml --out runs/demo
	$(BIN)/stepforge run configs/domains.toml --out runs/domains

# More processes than cores: many tests wait for processes that they have started. In the order of their names, the
# longest files (chaos) come first.
test: $(STAMP)
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-all: $(STAMP) check
	$(BIN)/python -m pytest -m "not gpu"

bench: $(STAMP)
	$(BIN)/python benchmarks/engine_utilization.py

# Environments of their own for the libraries that read the exports (tests/pipelines/exports/test_consumers.py): TRL's latest, and the
# last that trains on stepwise rows.
consumers: $(STAMP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .consumers/trl
	$(BIN)/uv pip install --quiet --python .consumers/trl/bin/python "trl>=1.16,<2" "torch>=2.13,<2.14"
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .consumers/trl_stepwise
	$(BIN)/uv pip install --quiet --python .consumers/trl_stepwise/bin/python "trl==1.13.0" "torch>=2.13,<2.14"

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.9,<1"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e ".[cpu,dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) .consumers dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
