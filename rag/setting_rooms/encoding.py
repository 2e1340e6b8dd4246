"""What makes vectors of texts, and how a document is cut for it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from rag.setting_rooms.forms import HeaderKey, HttpUrl


class Encoding(BaseModel):
    """What makes vectors of texts, and how a document is cut for it."""

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
    encoder_url: HttpUrl | None = Field(
        None, description="OpenAI-compatible base URL (…/v1) whose /embeddings encodes; empty: encode in this process"
    )
    encoder_api_key: HeaderKey | None = Field(None, description="API key of the encoder's server")
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
    query_prefix: str = Field(
        "", description='text before each query for the encoder, such as "query: " for E5; documents get none'
    )
    query_cache: int = Field(
        10_000, ge=0, le=1_000_000, description="latest queries whose vectors are remembered; 0: none"
    )
    sparse_encoder: str = Field(
        "bm25", description="the keyword leg: bm25, or a folder or hub name of a learned sparse encoder (SPLADE)"
    )
    bm25_language: str = Field("english", description="stemming and stop words of the keyword leg")
    bm25_title_weight: int = Field(
        1, ge=1, le=20, description="how often the words of a document's title count in the keyword leg"
    )
    bm25_heading_weight: int = Field(
        1, ge=1, le=20, description="how often the words of the headings above a passage count in the keyword leg"
    )
    chunk_tokens: int | None = Field(
        None, ge=16, description="encoder tokens in a chunk at most; empty: 96, or what the encoder reads if less"
    )
