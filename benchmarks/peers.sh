#!/bin/sh
# Makes .venv-peers, with the frameworks that benchmarks/ingest.py and benchmarks/retrieval.py compare with (about
# 1.7 GB, some minutes).
set -eu
cd "$(dirname "$0")/.."
export PIP_CONSTRAINT="$PWD/requirements/constraints.txt" PIP_DISABLE_PIP_VERSION_CHECK=1
test -x .venv-peers/bin/python || "${PYTHON:-python3}" -m venv .venv-peers
.venv-peers/bin/pip install --quiet torch==2.13.0
.venv-peers/bin/pip install --quiet \
  'sentence-transformers>=6.2,<7' 'qdrant-client>=1.20,<2' \
  'llama-index-core>=0.14,<0.15' 'llama-index-embeddings-huggingface>=0.8,<0.9' \
  'llama-index-vector-stores-qdrant>=0.10,<0.11' \
  'haystack-ai>=3.4,<4' 'qdrant-haystack>=13,<14' 'sentence-transformers-haystack>=2,<3' \
  'langchain-classic>=1,<2' 'langchain-community>=0.4,<0.5' 'langchain-qdrant>=1.1,<2' 'rank-bm25>=0.2.2,<0.3'
