"""The chat model, and the local engine that may serve it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from rag.setting_rooms.forms import HeaderKey, HomePath, HttpUrl


class Model(BaseModel):
    """The chat model, and the local engine that may serve it."""

    llm_url: HttpUrl | None = Field(None, description="OpenAI-compatible base URL (…/v1); empty: the local engine")
    llm_api_key: HeaderKey | None = Field(None, description="API key of the chat model's server")
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
    max_answer_tokens: int = Field(256, ge=1, description="tokens of an answer at most where its request names none")
    max_context_tokens: int = Field(1600, ge=64, description="tokens of the passages at most")
    context_order: Literal["best-first", "edges"] = Field(
        "best-first", description="how passages stand in the prompt; edges: the best first, the second best last"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="sampling temperature where a request names none")
    frequency_penalty: float = Field(
        0.2, ge=-2, le=2, description="how much repeated tokens are held back where a request does not say"
    )

    engine_python: HomePath | None = Field(None, description="Python with vLLM; empty: .venv-engine, then this one")
    engine_model: str = Field("smollm2", description="smollm2 (packaged), a folder or a hub name")
    engine_adapter: str = Field("auto", description="its adapter: auto (packaged, for smollm2), none, or a folder")
    engine_merge: Literal["auto", "always", "never"] = Field(
        "auto", description="join the adapter into the model's weights, which serves it alone; auto: on a CPU"
    )
    engine_dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="numbers that it computes in; auto: the model's, float32 on a CPU that has no bf16"
    )
    engine_port: int = Field(8001, ge=1, le=65535, description="port of the local engine on 127.0.0.1")
    engine_context_tokens: int = Field(4096, ge=256, description="window that the local engine serves")
    engine_kv_gib: int = Field(1, ge=1, description="GiB of memory for the local engine's KV cache on a CPU")
    engine_start_timeout: float = Field(300, gt=0, description="seconds the local engine may take to be ready")
