"""The plain LangChain way: a FastAPI proxy that streams what ChatOpenAI brings. What serving.py compares with.

    python benchmarks/serving_proxy.py --port 8124 --model-url http://127.0.0.1:8123/v1 [--core 0]

As tutorials write it: one ChatOpenAI, `astream`, a StreamingResponse of server-sent events. It retrieves nothing,
checks nothing and counts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr


class ChatMessage(BaseModel):
    """One turn."""

    role: str
    content: str


class ChatRequest(BaseModel):
    """What is asked."""

    messages: list[ChatMessage]


def create_app(model_url: str) -> FastAPI:
    """The application in front of the model at that URL."""
    app = FastAPI()
    llm = ChatOpenAI(model="stand-in", base_url=model_url, api_key=SecretStr("none"))

    @app.post("/v1/chat/completions")
    async def chat(body: ChatRequest) -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            async for chunk in llm.astream([(each.role, each.content) for each in body.messages]):
                yield f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': chunk.text}}]})}\n\n"
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A plain LangChain proxy.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-url", required=True)
    parser.add_argument("--core", type=int, default=None, help="the only core to run on")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    uvicorn.run(create_app(arguments.model_url), host="127.0.0.1", port=arguments.port, log_config=None)


if __name__ == "__main__":
    main()
