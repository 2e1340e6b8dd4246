"""Where documents, records and models lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from rag.setting_rooms.forms import HeaderKey, HomePath, HttpUrl, Names


class Places(BaseModel):
    """Where documents, records and models lie."""

    data_dir: HomePath = Field(Path(".librarian"), description="folder of the embedded index and prepared models")
    collection: str = Field("documents", description="collection (or alias) to ingest into and to ask")
    tenant: str = Field("default", min_length=1, description="tenant whose documents are written and read")
    groups: Names = Field((), description="groups of the reader: sees their documents and public ones")

    qdrant_url: HttpUrl | None = Field(None, description="Qdrant server; empty: the embedded engine in data_dir")
    qdrant_api_key: HeaderKey | None = Field(None, description="API key of the Qdrant server")
    qdrant_grpc: bool = Field(False, description="talk gRPC to the Qdrant server where possible")
    qdrant_grpc_port: int = Field(6334, ge=1, le=65535, description="gRPC port of the Qdrant server")
    qdrant_ca_file: HomePath | None = Field(None, description="CA certificates (PEM) for a Qdrant server over TLS")
    qdrant_timeout: float = Field(30, gt=0, description="seconds one call to the Qdrant server may take")
    qdrant_shards: int | None = Field(
        None, ge=1, description="shards of a collection that is made on the server; empty: one for each of its nodes"
    )
    qdrant_replication: int | None = Field(
        None, ge=1, description="nodes of the server that hold each shard of a collection that is made; empty: one"
    )
    qdrant_quantization: Literal["none", "int8"] = Field(
        "none",
        description="how the server searches dense vectors of a collection that is made; int8: a quarter of memory",
    )
