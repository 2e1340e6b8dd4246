#!/bin/sh
# Makes .venv-peers, with the frameworks that benchmarks/ingest.py compares with (about 1.7 GB, some minutes).
set -eu
cd "$(dirname "$0")/.."
export PIP_CONSTRAINT="$PWD/requirements/constraints.txt" PIP_DISABLE_PIP_VERSION_CHECK=1
test -x .venv-peers/bin/python || "${PYTHON:-python3}" -m venv .venv-peers
.venv-peers/bin/pip install --quiet torch==2.13.0
.venv-peers/bin/pip install --quiet \
  'sentence-transformers>=6.2,<7' 'qdrant-client>=1.20,<2' \
  'llama-index-core>=0.14,<0.15' 'llama-index-embeddings-huggingface>=0.8,<0.9' \
  'llama-index-vector-stores-qdrant>=0.10,<0.11' \
  'haystack-ai>=3.4,<4' 'qdrant-haystack>=13,<14' 'sentence-transformers-haystack>=2,<3'
