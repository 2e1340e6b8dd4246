"""Whether a port on loopback is free, and if not, who has it."""

from __future__ import annotations

import socket

import httpx2

from rag.errors import EngineError

LOOPBACK = "127.0.0.1"


def require_free_port(port: int) -> None:
    """Return when `port` on 127.0.0.1 can be listened on; else EngineError, in one line, with who has it if known."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # sockets in TIME_WAIT do not matter
            probe.bind((LOOPBACK, port))
    except PermissionError:
        raise EngineError(f"port {port} needs more rights than this user has; set LIBRARIAN_ENGINE_PORT") from None
    except OSError:
        raise EngineError(_taken(port)) from None
    # macOS lets 127.0.0.1 be bound beside a listener on all addresses, so the bind alone proves too little there.
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return
    raise EngineError(_taken(port))


def _taken(port: int) -> str:
    models = _models(port)
    if models is None:
        return f"port {port} on {LOOPBACK} is taken by another program; stop it or set LIBRARIAN_ENGINE_PORT"
    serving = f" (serving {', '.join(models)})" if models else ""
    return (
        f"an OpenAI-compatible server{serving} already listens on port {port}; to use it set "
        f"LIBRARIAN_LLM_URL=http://{LOOPBACK}:{port}/v1, to start another set LIBRARIAN_ENGINE_PORT to a free port"
    )


def _models(port: int) -> list[str] | None:
    """Names under /v1/models; None where no OpenAI-compatible server answers within 2 s."""
    try:
        answer = httpx2.get(f"http://{LOOPBACK}:{port}/v1/models", timeout=2, trust_env=False)
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            return []
        return [str(model["id"]) for model in answer.json()["data"]]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return None
