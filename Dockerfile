# syntax=docker/dockerfile:1
# Two images from one build: `api` answers, `jobs` ingests, tunes, evaluates and backs up.
#
#   docker build --target api  --tag librarian-api:0.1.0 .
#   docker build --target jobs --tag librarian-jobs:0.1.0 .
#   docker build --target jobs --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 …   tuning on NVIDIA GPUs
#
# Packages first, the project's own code last: a change of code rebuilds two small layers. The chat model is not baked
# in (vLLM serves it); the default encoder is, it comes as a package of 90 MB.
ARG PYTHON_IMAGE=docker.io/library/python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore PIP_CACHE_DIR=/var/cache/pip
RUN python -m venv /opt/librarian
ENV PATH=/opt/librarian/bin:$PATH
WORKDIR /build
COPY requirements/constraints.txt requirements/api.txt requirements/
ENV PIP_CONSTRAINT=/build/requirements/constraints.txt
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# The cache is a mount of the build and no part of the image.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --index-url "${TORCH_INDEX}" torch==2.13.0 \
    && pip install --no-deps --require-hashes --requirement requirements/api.txt

FROM packages AS job-packages
COPY requirements/jobs.txt requirements/
# The cache is a mount of the build and no part of the image.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --no-deps --require-hashes --requirement requirements/jobs.txt

FROM packages AS wheel
COPY pyproject.toml README.md LICENSE librarian.py ./
COPY rag rag
COPY ingest ingest
COPY eval eval
COPY serve serve
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM packages AS api-installed
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl

FROM job-packages AS jobs-installed
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl

FROM ${PYTHON_IMAGE} AS runtime
# OpenMP's threads, which torch and onnxruntime use.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /var/lib/librarian librarian \
    && install --directory --owner 10001 --group 10001 /var/lib/librarian
# The root may be read-only: what is written goes to /var/lib/librarian and /tmp.
ENV PATH=/opt/librarian/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/librarian \
    LIBRARIAN_DATA_DIR=/var/lib/librarian
WORKDIR /var/lib/librarian
USER 10001:10001
ENTRYPOINT ["librarian"]

FROM runtime AS jobs
COPY --from=jobs-installed /opt/librarian /opt/librarian
CMD ["--help"]

FROM runtime AS api
COPY --from=api-installed /opt/librarian /opt/librarian
EXPOSE 8000
CMD ["serve"]
