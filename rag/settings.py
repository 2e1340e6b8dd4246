"""Every setting: its name, default, unit and meaning; and how the four sources of settings are joined.

A setting `top_k` is the flag `--top-k` where a command has it, the variable `LIBRARIAN_TOP_K`, or `top_k = 8` in
`librarian.toml`. Strength: flags, then environment, then `.env`, then `librarian.toml`, then what was promoted by
`librarian tune promote`, then the default. An unknown name or a value that does not fit is an error that names the
source and the nearest valid setting.

This is the only file of the project that reads the environment for settings.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from rag.errors import SettingsError
from rag.setting_errors import invalid_setting, unknown_setting
from rag.tuning import in_service

PREFIX = "LIBRARIAN_"
TEST_PREFIX = "LIBRARIAN_TEST_"
TOML_FILE = "librarian.toml"
ENV_FILE = ".env"
PROMOTED = "tune promote"  # as a source of settings


class Settings(BaseModel):
    """All settings, validated. Immutable; `load` makes one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Where things are
    data_dir: Path = Field(Path(".librarian"), description="folder of the embedded index and prepared models")
    collection: str = Field("documents", description="collection (or alias) to ingest into and to ask")
    tenant: str = Field("default", min_length=1, description="tenant whose documents are written and read")
    groups: tuple[str, ...] = Field((), description="groups of the reader: sees their documents and public ones")

    # Qdrant
    qdrant_url: str | None = Field(None, description="Qdrant server; empty: the embedded engine in data_dir")
    qdrant_api_key: SecretStr | None = Field(None, description="API key of the Qdrant server")
    qdrant_grpc: bool = Field(False, description="talk gRPC to the Qdrant server where possible")
    qdrant_grpc_port: int = Field(6334, ge=1, le=65535, description="gRPC port of the Qdrant server")
    qdrant_ca_file: Path | None = Field(None, description="CA certificates (PEM) for a Qdrant server over TLS")
    qdrant_timeout: float = Field(30, gt=0, description="seconds one call to the Qdrant server may take")

    # Encoders and chunks
    encoder: str = Field("minilm", description="embedding model: minilm (packaged), a folder or a hub name")
    encoder_device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    encoder_backend: Literal["auto", "torch-fp32", "torch-bf16", "onnx-fp32", "onnx-int8"] = Field(
        "auto",
        description="what runs the encoder; auto: torch-bf16 on a CUDA GPU, onnx-int8 for minilm on a CPU, onnx-fp32 "
        "for other BERT-like models there, else torch-fp32",
    )
    encoder_batch_size: int | None = Field(
        None, ge=1, le=4096, description="texts that torch or a server encodes at once; empty: what suits the device"
    )
    encoder_threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads that encode; empty: one for each core this process may use"
    )
    encoder_url: str | None = Field(
        None, description="OpenAI-compatible base URL (…/v1) whose /embeddings encodes; empty: encode in this process"
    )
    encoder_api_key: SecretStr | None = Field(None, description="API key of the encoder's server")
    encoder_model: str | None = Field(
        None, description="model name to ask the encoder's server for; empty: the first that it lists"
    )
    encoder_tokenizer: str | None = Field(
        None, description="folder or hub name of the served encoder's tokenizer; empty: that of `encoder`"
    )
    encoder_timeout: float = Field(60, gt=0, description="seconds one call to the encoder's server may take")
    query_batch_wait_ms: float = Field(
        2,
        ge=0,
        le=1000,
        description="milliseconds that a query waits to share a call of encoder_url while one is under way; 0: none",
    )
    query_cache: int = Field(
        10_000, ge=0, le=1_000_000, description="latest queries whose vectors are remembered; 0: none"
    )
    bm25_language: str = Field("english", description="stemming and stop words of the keyword leg")
    chunk_tokens: int | None = Field(
        None, ge=16, description="encoder tokens in a chunk at most; empty: 96, or what the encoder reads if less"
    )

    # Limits on one document; what passes one is reported as failed and never stops the job
    compact: bool = Field(
        True, description="an ingest that leaves mostly deleted points in an embedded collection makes it smaller"
    )
    max_document_bytes: int = Field(32 * 1024 * 1024, ge=1, description="bytes; larger documents are refused")
    max_document_pages: int = Field(5000, ge=1, description="pages, slides or sheets of a document at most")
    max_document_characters: int = Field(
        50_000_000, ge=1, description="characters of text that a document may come to once it is read"
    )
    max_document_seconds: float = Field(120, gt=0, description="seconds that reading and cutting a document may take")
    max_document_memory: int = Field(
        2 * 1024**3, ge=256 * 1024**2, description="bytes of memory that the process reading a document may use"
    )
    max_expansion: int = Field(
        200, ge=2, description="how many times its packed size a compressed document or archive may unpack to"
    )
    max_archive_files: int = Field(10_000, ge=1, description="files that an archive may hold")

    # The ingestion job
    ingest_workers: int | None = Field(
        None, ge=1, le=256, description="processes that read documents; empty: one, or two where there are many cores"
    )
    max_failures: float = Field(
        0.2, ge=0, description="a job stops once this share of the documents (or, from 1 on, this many) has failed"
    )
    allow_urls: tuple[str, ...] = Field(
        (), description="hosts from which http(s) sources may be read, as example.org or *.example.org; * is any"
    )
    allow_private_urls: bool = Field(False, description="read http(s) sources on private and link-local addresses too")
    url_timeout: float = Field(60, gt=0, description="seconds that fetching one document from a URL may take")

    # Retrieval
    rewrite: Literal["off", "rules", "model"] = Field(
        "rules",
        description="how a follow-up becomes a query of its own: not at all, by rules (English), or by the chat model",
    )
    top_k: int = Field(3, ge=1, le=100, description="passages that a search returns or an answer is given")
    candidates: int = Field(300, ge=1, le=1000, description="hits taken from each leg before fusing")
    fusion: Literal["weighted", "rrf", "dbsf"] = Field(
        "weighted",
        description="how the two legs are joined: by relative scores, by ranks, by the scores' spread",
    )
    dense_weight: float = Field(
        0.6, ge=0, le=1, description="the dense leg's share of a fused score; the keyword leg has the rest (not rrf)"
    )
    rrf_k: float = Field(10, gt=0, description="constant of reciprocal rank fusion: score = sum of 1 / (k + rank)")
    document_weight: float = Field(
        0.5, ge=0, le=10, description="how much the other hits in a passage's document raise it; 0: not at all"
    )
    reranker: str | None = Field(
        None, description="cross-encoder that puts the best hits in a better order: a folder or a hub name; empty: none"
    )
    reranker_backend: Literal["auto", "torch-fp32", "torch-bf16", "onnx-fp32", "onnx-int8"] = Field(
        "auto",
        description="what runs the reranker; auto: torch-bf16 on a CUDA GPU, onnx-int8 for BERT-like models on a CPU, "
        "else torch-fp32",
    )
    rerank_candidates: int = Field(50, ge=1, le=1000, description="best hits of a search that are reranked at most")
    rerank_seconds: float = Field(
        0.5, gt=0, description="seconds for reranking a search: as many of its best hits as fit, and always the first 8"
    )
    neighbours_before: int = Field(
        2, ge=0, le=20, description="chunks before a hit that may be joined to its passage, at most"
    )
    neighbours_after: int = Field(
        2, ge=0, le=20, description="chunks after a hit that may be joined to its passage, at most"
    )
    neighbours_share: float = Field(
        0.8,
        ge=0,
        le=1,
        description="a chunk beside a hit is joined if the cosines of the two come, on average, to this share of the "
        "query's best; 0: always",
    )
    min_relevance: float = Field(
        0.32, ge=0, le=1, description="abstain where the probability that the passages answer is below this"
    )

    # The chat model
    llm_url: str | None = Field(None, description="OpenAI-compatible base URL (…/v1); empty: the local engine")
    llm_api_key: SecretStr | None = Field(None, description="API key of the chat model's server")
    llm_model: str | None = Field(None, description="model name; empty: the first that the server lists")
    llm_tokenizer: str | None = Field(
        None, description="folder or hub name whose tokenizer counts tokens; empty: ask the server"
    )
    llm_context_tokens: int | None = Field(
        None, ge=256, description="tokens of the model's window; empty: what the server says, else 4096"
    )
    llm_timeout: float = Field(120, gt=0, description="seconds to wait for the model's next token")
    llm_retries: int = Field(
        2, ge=0, le=10, description="further attempts where the model's server fails before its first token"
    )
    llm_retry_wait: float = Field(
        0.2, ge=0, le=60, description="seconds before the first of them at most; each further one waits twice as long"
    )
    llm_breaker_failures: int = Field(
        6, ge=1, description="failed attempts in a row after which the model's server is left alone"
    )
    llm_breaker_seconds: float = Field(
        5, gt=0, le=3600, description="seconds for which it is left alone, and requests fail at once"
    )
    max_answer_tokens: int = Field(256, ge=1, description="tokens of an answer at most")
    max_context_tokens: int = Field(1600, ge=64, description="tokens of the passages at most")
    context_order: Literal["best-first", "edges"] = Field(
        "best-first", description="how passages stand in the prompt; edges: the best first, the second best last"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="sampling temperature where a request names none")
    frequency_penalty: float = Field(
        0.2, ge=-2, le=2, description="how much repeated tokens are held back where a request does not say"
    )

    # The local engine
    engine_python: Path | None = Field(None, description="Python with vLLM; empty: .venv-engine, then this one")
    engine_model: str = Field("smollm2", description="smollm2 (packaged), a folder or a hub name")
    engine_port: int = Field(8001, ge=1, le=65535, description="port of the local engine on 127.0.0.1")
    engine_context_tokens: int = Field(4096, ge=256, description="window that the local engine serves")
    engine_kv_gib: int = Field(1, ge=1, description="GiB of memory for the local engine's KV cache on a CPU")
    engine_start_timeout: float = Field(300, gt=0, description="seconds the local engine may take to be ready")

    # The service
    api_url: str | None = Field(None, description="running Librarian that `ask` and `search` use; empty: this machine")
    host: str = Field("127.0.0.1", description="address the API listens on")
    port: int = Field(8000, ge=1, le=65535, description="port the API listens on")
    api_key: SecretStr | None = Field(None, description="Bearer key that requests must carry, or one made; empty: none")
    known_callers_only: bool = Field(
        False, description="answer only requests with a key (LIBRARIAN_API_KEY or `librarian keys`), on loopback too"
    )
    allow_anonymous: bool = Field(False, description="serve without a key on an address that others can reach")
    cors_origins: tuple[str, ...] = Field(
        (), description="origins (https://app.example.org) whose pages may call the API with a key; empty: none"
    )
    max_request_bytes: int = Field(1024 * 1024, ge=1024, description="bytes of a request body at most")
    request_timeout: float = Field(300, gt=0, description="seconds a request may take from start to end")
    shutdown_grace: float = Field(
        30, ge=0, le=3600, description="seconds that requests have to finish once the service is told to stop"
    )
    max_concurrent_requests: int = Field(64, ge=1, description="answers and searches at work at once; others: 429")
    max_upload_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="bytes of the documents in one POST /v1/documents at most"
    )
    max_upload_documents: int = Field(1000, ge=1, description="documents in one POST /v1/documents at most")
    max_queued_jobs: int = Field(16, ge=1, description="upload and ingestion jobs that wait or run; others: 429")
    otel: bool = Field(False, description="send traces (OTEL_EXPORTER_OTLP_ENDPOINT says where); needs the extra otel")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged")
    log_questions: bool = Field(False, description="write the text of questions into the log too")

    @field_validator("groups", "allow_urls", "cors_origins", mode="before")
    @classmethod
    def _split_groups(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("qdrant_url", "encoder_url", "llm_url", "api_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        parts = urlsplit(value)
        if not parts.hostname or parts.port == 0:  # a port that is no number is a ValueError of its own
            raise ValueError("must name a host")
        return value.rstrip("/")

    @field_validator("cors_origins")
    @classmethod
    def _is_origin(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            parts = urlsplit(each)
            if parts.scheme not in {"http", "https"} or each != f"{parts.scheme}://{parts.netloc}" or not parts.netloc:
                raise ValueError("each must be a whole origin, as https://app.example.org: no path, no *")
            if "*" in each or "@" in each:
                raise ValueError("each must name one origin, without * and without a user")
        return value

    @field_validator("qdrant_api_key", "encoder_api_key", "llm_api_key", "api_key", mode="before")
    @classmethod
    def _is_key(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        key = value.strip()  # secrets that come from files end in a line break
        if not key.isprintable() or (info.field_name != "api_key" and not key.isascii()):
            raise ValueError("must be one line of printable ASCII characters, as HTTP headers are")
        return key

    @field_validator("data_dir", "qdrant_ca_file", "engine_python")
    @classmethod
    def _at_home(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value else value

    @property
    def index_dir(self) -> Path:
        """The embedded index's folder."""
        return self.data_dir / "index"

    @property
    def models_dir(self) -> Path:
        """Where prepared models lie."""
        return self.data_dir / "models"

    @property
    def engine_url(self) -> str:
        """Base URL of the local engine."""
        return f"http://127.0.0.1:{self.engine_port}/v1"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the source of each one that is not the default."""

    settings: Settings
    sources: Mapping[str, str]


def load(
    flags: Mapping[str, Any] | None = None, pairs: Sequence[str] | None = None, folder: Path | None = None
) -> Loaded:
    """Join defaults, `librarian.toml`, `.env`, the environment and flags (a flag of None was not given).

    `pairs` are further flags as NAME=VALUE, as `--set` takes them; `folder` holds the two files.

    Raises SettingsError, naming source and setting, for an unknown name or a value that does not fit.
    """
    folder = folder or Path.cwd()
    layers: list[tuple[str, dict[str, Any]]] = [
        (TOML_FILE, _from_toml(folder / TOML_FILE)),
        (ENV_FILE, _from_env(_dotenv(folder / ENV_FILE), ENV_FILE)),
        ("environment", _from_env(os.environ, "environment")),
        ("flag", {key: value for key, value in (flags or {}).items() if value is not None}),
        ("--set", _from_pairs(pairs or ())),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in [(PROMOTED, in_service.settings_of(_data_dir(layers))), *layers]:
        for name, value in layer.items():
            if name not in Settings.model_fields:
                raise SettingsError(unknown_setting(Settings, name, source))
            if value == "":  # says "as if it were not set", also of what a weaker source has set
                values.pop(name, None)
                sources.pop(name, None)
            else:
                values[name] = value
                sources[name] = source
    try:
        return Loaded(Settings(**values), sources)
    except ValidationError as error:
        raise SettingsError(invalid_setting(Settings, error, sources)) from None


def _data_dir(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Path:
    """The data folder that the strongest of the layers names."""
    given = next((layer["data_dir"] for _, layer in reversed(layers) if "data_dir" in layer), "")
    known = given if given and isinstance(given, str | Path) else Settings.model_fields["data_dir"].default
    return Path(known).expanduser()


def job_completion_index() -> int:
    """Which pod of a Kubernetes Indexed Job this is. Raises SettingsError where it is none."""
    found = os.environ.get("JOB_COMPLETION_INDEX", "")
    if not found.isdigit():
        raise SettingsError("JOB_COMPLETION_INDEX is not set: only a pod of an Indexed Job has one; name the shard.")
    return int(found)


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from None


def _dotenv(path: Path) -> Mapping[str, str | None]:
    try:
        return dotenv_values(path) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None


def _from_pairs(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set takes NAME=VALUE, not '{pair}'.")
        found[name.strip().lower().replace("-", "_")] = value.strip()
    return found


def _from_env(variables: Mapping[str, str | None], source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in variables.items():
        if not key.upper().startswith(PREFIX) or key.upper().startswith(TEST_PREFIX):
            continue
        name = key[len(PREFIX) :].lower()
        if name not in Settings.model_fields:
            raise SettingsError(unknown_setting(Settings, name, source, shown=key))
        if value:  # an empty variable means "not set", as in most shells' idiom
            found[name] = value
    return found
