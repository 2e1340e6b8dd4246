"""Examples of what is asked and answered."""

from __future__ import annotations

from collections.abc import Mapping

from serve.examples.example import ANSWER, AT, CHUNK, JSON, QUESTION, TEXT, Example

_SAID = "It keeps traffic away from a pod that is not ready [1]."
_PASSAGE = {
    "id": CHUNK,
    "text": TEXT,
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
    "id": ANSWER,
    "object": "chat.completion",
    "created": AT,
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
    f'data: {{"id":"{ANSWER}","object":"chat.completion.chunk","created":{AT},"model":"librarian",'
    '"choices":[{"index":0,"delta":{"content":"It keeps"},"finish_reason":null}]}\n\ndata: [DONE]\n\n'
)
_COLLECTION = {
    "name": "documents",
    "aliases": ["documents"],
    "object": "collection",
    "points": 1204,
    "created": AT,
    "encoder": "'all-MiniLM-L6-v2'",
}
_FILTER = {"and": [{"field": "metadata.team", "eq": "infra"}, {"field": "metadata.date", "gte": "2026-01-01"}]}
_ASKED = [{"role": "user", "content": QUESTION}]

ASKING: Mapping[tuple[str, str], Example] = {
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
                "query": QUESTION,
                "collection": "documents",
                "relevance": 0.88,
                "data": [_PASSAGE],
                "timings_ms": _TIMINGS,
            }
        },
        {
            JSON: {
                "a query": {"query": QUESTION},
                "some of the documents": {
                    "query": QUESTION,
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
                "query": QUESTION,
                "collection": "documents",
                "relevant": True,
                "relevance": 0.88,
                "passages": [{**_PASSAGE, "number": 1}],
                "messages": [
                    {"role": "system", "content": "Answer from the numbered passages …"},
                    {"role": "user", "content": f"[1] {TEXT} …\n\n{QUESTION}"},
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
                "a query": {"query": QUESTION, "max_tokens": 1500},
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
    ("get", "/v1/models/{model}"): Example(
        {JSON: {"id": "librarian/documents", "object": "model", "created": AT, "owned_by": "librarian"}}
    ),
    ("get", "/v1/models"): Example(
        {
            JSON: {
                "object": "list",
                "data": [
                    {"id": name, "object": "model", "created": AT, "owned_by": "librarian"}
                    for name in ("librarian", "librarian/documents", "librarian:grounded", "librarian:smollm2")
                ],
            }
        }
    ),
}
