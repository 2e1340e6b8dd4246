"""An example of each request and its answer, put into the OpenAPI document. A test holds them to their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

JSON = "application/json"
_CHUNK = "5f0cb0a3-6c8f-5a43-9a0c-7f2f11d1de00"
_ANSWER = "chatcmpl-6f1c0d8e5b0a4c3e9a7d2b1f4e8c9d0a"
_QUESTION = "What does a readiness probe do?"
_TEXT = "A readiness probe keeps traffic away from a pod that is not ready to answer."
_SAID = "It keeps traffic away from a pod that is not ready [1]."
_AT = 1764000000

_PASSAGE = {
    "id": _CHUNK,
    "text": _TEXT,
    "score": 0.93,
    "dense_score": 0.71,
    "sparse_score": 12.4,
    "source": "probes.md",
    "uri": "upload:probes.md",
    "title": "Probes",
    "heading_path": ["Probes", "Readiness"],
    "start": 120,
    "end": 196,
    "metadata": {"team": "infra"},
}
_TIMINGS = {"rewrite": 0.02, "encode": 4.1, "search": 3.2, "fetch": 1.1}
_ANSWERED = {
    "id": _ANSWER,
    "object": "chat.completion",
    "created": _AT,
    "model": "librarian",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": _SAID,
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "start_index": 51,
                            "end_index": 54,
                            "url": "upload:probes.md",
                            "title": "Probes",
                        },
                    }
                ],
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 412, "completion_tokens": 15, "total_tokens": 427},
    "context": [{**_PASSAGE, "number": 1, "cited": True}],
    "citations": [{"number": 1, "start": 51, "end": 54, "origin": "model"}],
    "abstained": False,
    "model_unavailable": False,
    "relevance": 0.88,
    "dropped": [{"what": "passage 2", "reason": "no room within 1600 tokens"}],
    "timings_ms": {
        **_TIMINGS,
        "retrieve": 8.42,
        "assemble": 1.2,
        "first_token": 310.5,
        "generate": 640.1,
        "total": 650.2,
    },
}
_STREAM = (
    f'data: {{"id":"{_ANSWER}","object":"chat.completion.chunk","created":{_AT},"model":"librarian",'
    '"choices":[{"index":0,"delta":{"content":"It keeps"},"finish_reason":null}]}\n\ndata: [DONE]\n\n'
)
_COLLECTION = {
    "name": "documents",
    "aliases": ["documents"],
    "object": "collection",
    "points": 1204,
    "created": _AT,
    "encoder": "'all-MiniLM-L6-v2'",
}
_JOB = {
    "id": "0d0f7e3b6a11476f8b0b8f0e2f0e5c55",
    "object": "job",
    "kind": "upload",
    "state": "done",
    "collection": "documents",
    "created": 1764000000.0,
    "heartbeat": 1764000004.2,
    "finished": 1764000004.2,
    "progress": {"documents": 1, "done": 1, "chunks": 3, "failed": 0},
    "report": {"added": 1, "replaced": 0, "kept": 0, "chunks": 3, "failures": 0, "failed": []},
    "error": None,
    "send_again": [],
}
_QUEUED = {**_JOB, "state": "queued", "heartbeat": 1764000000.0, "finished": None, "progress": {}, "report": None}
_KEY = {
    "id": "1a2b3c4d5e6f7081",
    "name": "alice",
    "tenant": "default",
    "groups": ["sre"],
    "permissions": ["read", "write"],
    "created": 1764000000.0,
    "expires": 1771776000.0,
    "limits": {"requests_per_minute": 60, "tokens_per_minute": None, "concurrent_requests": None},
}
_RATED = {
    "id": "0d0f7e3b6a11476f8b0b8f0e2f0e5c55",
    "object": "feedback",
    "answer_id": _ANSWER,
    "rating": "down",
    "comment": "It names the wrong probe.",
    "verified": True,
    "created": 1764000000.0,
}
_FILTER = {"and": [{"field": "metadata.team", "eq": "infra"}, {"field": "metadata.date", "gte": "2026-01-01"}]}
_ASKED = [{"role": "user", "content": _QUESTION}]


@dataclass(frozen=True, slots=True)
class Example:
    """What an operation answers, by media type, and requests that it takes, by media type and by what they show."""

    answers: Mapping[str, Any]
    requests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


EXAMPLES: Mapping[tuple[str, str], Example] = {
    ("post", "/v1/chat/completions"): Example(
        {JSON: _ANSWERED, "text/event-stream": _STREAM},
        {
            JSON: {
                "a question": {"model": "librarian", "messages": _ASKED},
                "a follow-up, streamed": {
                    "model": "librarian/documents",
                    "messages": [
                        *_ASKED,
                        {"role": "assistant", "content": _SAID},
                        {"role": "user", "content": "And what does a liveness probe do?"},
                    ],
                    "stream": True,
                    "stream_options": {"include_usage": True},
                    "rewrite": "model",
                },
                "what Librarian adds": {
                    "model": "librarian",
                    "messages": _ASKED,
                    "max_tokens": 200,
                    "temperature": 0.2,
                    "collection": "documents",
                    "top_k": 5,
                    "filter": _FILTER,
                    "rewrite": "rules",
                    "include_context": False,
                    "on_model_failure": "sources",
                },
            }
        },
    ),
    ("post", "/v1/search"): Example(
        {
            JSON: {
                "object": "list",
                "query": _QUESTION,
                "collection": "documents",
                "relevance": 0.88,
                "data": [_PASSAGE],
                "timings_ms": _TIMINGS,
            }
        },
        {
            JSON: {
                "a query": {"query": _QUESTION},
                "some of the documents": {
                    "query": _QUESTION,
                    "collection": "documents",
                    "top_k": 10,
                    "filter": _FILTER,
                },
            }
        },
    ),
    ("post", "/v1/context"): Example(
        {
            JSON: {
                "object": "context",
                "query": _QUESTION,
                "collection": "documents",
                "relevant": True,
                "relevance": 0.88,
                "passages": [{**_PASSAGE, "number": 1}],
                "messages": [
                    {"role": "system", "content": "Answer from the numbered passages …"},
                    {"role": "user", "content": f"[1] {_TEXT} …\n\n{_QUESTION}"},
                ],
                "prompt_tokens": 412,
                "tokens": "exact",
                "max_answer_tokens": 3684,
                "dropped": [],
                "timings_ms": {**_TIMINGS, "assemble": 1.2},
            }
        },
        {
            JSON: {
                "a query": {"query": _QUESTION, "max_tokens": 1500},
                "a conversation": {
                    "messages": [
                        *_ASKED,
                        {"role": "assistant", "content": _SAID},
                        {"role": "user", "content": "And what does a liveness probe do?"},
                    ],
                    "collection": "documents",
                    "top_k": 5,
                    "filter": _FILTER,
                    "rewrite": "rules",
                },
            }
        },
    ),
    ("get", "/v1/collections"): Example({JSON: {"object": "list", "data": [_COLLECTION]}}),
    ("get", "/v1/collections/{name}"): Example({JSON: _COLLECTION}),
    ("get", "/v1/models"): Example(
        {
            JSON: {
                "object": "list",
                "data": [
                    {"id": name, "object": "model", "created": _AT, "owned_by": "librarian"}
                    for name in ("librarian", "librarian/documents")
                ],
            }
        }
    ),
    ("post", "/v1/documents"): Example(
        {JSON: _QUEUED},
        {
            JSON: {
                "text": {
                    "documents": [
                        {
                            "id": "runbooks/dns",
                            "text": "# DNS\n\nRestart CoreDNS when lookups time out.",
                            "title": "DNS",
                        }
                    ],
                    "collection": "documents",
                    "groups": ["sre"],
                    "metadata": {"team": "infra"},
                }
            },
            "multipart/form-data": {
                "files": {"files": ["handbook.pdf"], "collection": "documents", "prefix": "runbooks"}
            },
        },
    ),
    ("get", "/v1/documents"): Example(
        {
            JSON: {
                "object": "list",
                "collection": "documents",
                "data": [
                    {
                        "uri": "upload:runbooks/dns",
                        "path": "runbooks/dns",
                        "title": "DNS",
                        "chunks": 1,
                        "format": "markdown",
                        "groups": ["sre"],
                        "metadata": {"team": "infra"},
                    }
                ],
                "next_cursor": None,
            }
        }
    ),
    ("delete", "/v1/documents"): Example(
        {JSON: {"object": "documents.deleted", "deleted": 1}}, {JSON: {"by URI": {"uris": ["upload:runbooks/dns"]}}}
    ),
    ("get", "/v1/documents/text"): Example(
        {
            JSON: {
                "uri": "upload:probes.md",
                "path": "probes.md",
                "title": "Probes",
                "text": _TEXT,
                "offset": 120,
                "before": True,
                "after": False,
            }
        }
    ),
    ("get", "/v1/jobs"): Example({JSON: {"object": "list", "data": [_JOB]}}),
    ("get", "/v1/jobs/{identity}"): Example({JSON: _JOB}),
    ("delete", "/v1/jobs/{identity}"): Example({JSON: {**_QUEUED, "state": "running"}}),
    ("post", "/v1/jobs"): Example(
        {JSON: {**_QUEUED, "kind": "ingest"}},
        {
            JSON: {
                "a folder": {
                    "sources": ["/srv/docs"],
                    "collection": "documents",
                    "tenant": "default",
                    "fingerprint": {"format": 3},
                }
            }
        },
    ),
    ("get", "/v1/keys"): Example({JSON: {"data": [_KEY]}}),
    ("post", "/v1/keys"): Example(
        {JSON: {**_KEY, "key": "lib_1a2b3c4d5e6f7081_" + "0" * 64}},
        {
            JSON: {
                "for 90 days": {
                    "name": "alice",
                    "permissions": ["read", "write"],
                    "groups": ["sre"],
                    "lifetime": 7776000,
                    "limits": {"requests_per_minute": 60},
                }
            }
        },
    ),
    ("delete", "/v1/keys/{identity}"): Example({JSON: _KEY}),
    ("post", "/v1/feedback"): Example(
        {JSON: _RATED},
        {
            JSON: {
                "of an answer just given": {"answer_id": _ANSWER, "rating": "up"},
                "of any answer": {
                    "answer_id": _ANSWER,
                    "rating": "down",
                    "comment": "It names the wrong probe.",
                    "question": _QUESTION,
                    "answer": "It restarts the container [1].",
                    "collection": "documents",
                    "passages": [{"id": _CHUNK, "cited": True}],
                },
            }
        },
    ),
    ("get", "/v1/feedback"): Example(
        {
            JSON: {
                "object": "list",
                "data": [
                    {
                        **_RATED,
                        "question": _QUESTION,
                        "searched": _QUESTION,
                        "answer": "It restarts the container [1].",
                        "collection": "documents",
                        "passages": [{"id": _CHUNK, "document": "upload:probes.md", "cited": True, "text": None}],
                        "caller": "1a2b3c4d5e6f7081",
                        "groups": ["sre"],
                    }
                ],
                "next_cursor": None,
            }
        }
    ),
    ("get", "/healthz"): Example({JSON: {"status": "ok"}}),
    ("get", "/readyz"): Example({JSON: {"ready": True, "checks": {"index": "ok", "model": "ok"}}}),
    ("get", "/metrics"): Example({"text/plain": "librarian_active_requests 2.0\n"}),
}


def install(app: FastAPI) -> None:
    """Put them into the document that the application tells of itself."""
    described = app.openapi

    def with_examples() -> dict[str, Any]:
        document = described()
        for (method, path), example in EXAMPLES.items():
            operation = document["paths"].get(path, {}).get(method)
            if operation is not None:
                _put(operation, example)
        return document

    app.openapi = with_examples  # type: ignore[method-assign]


def _put(operation: dict[str, Any], example: Example) -> None:
    for media, requests in example.requests.items():
        shown = {name: {"value": value} for name, value in requests.items()}
        operation["requestBody"]["content"][media]["examples"] = shown
    [answer] = [each for status, each in operation["responses"].items() if status.startswith("2")]
    for media, value in example.answers.items():
        answer["content"][media]["example"] = value
