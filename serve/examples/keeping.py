"""Examples of what is kept (documents, jobs, keys, feedback), and of how the service is."""

from __future__ import annotations

from collections.abc import Mapping

from serve.examples.example import ANSWER, CHUNK, JSON, QUESTION, TEXT, Example

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
    "answer_id": ANSWER,
    "rating": "down",
    "comment": "It names the wrong probe.",
    "verified": True,
    "created": 1764000000.0,
}

KEEPING: Mapping[tuple[str, str], Example] = {
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
                "text": TEXT,
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
                "of an answer just given": {"answer_id": ANSWER, "rating": "up"},
                "of any answer": {
                    "answer_id": ANSWER,
                    "rating": "down",
                    "comment": "It names the wrong probe.",
                    "question": QUESTION,
                    "answer": "It restarts the container [1].",
                    "collection": "documents",
                    "passages": [{"id": CHUNK, "cited": True}],
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
                        "question": QUESTION,
                        "searched": QUESTION,
                        "answer": "It restarts the container [1].",
                        "collection": "documents",
                        "passages": [{"id": CHUNK, "document": "upload:probes.md", "cited": True, "text": None}],
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
