"""The FastAPI application: the routes over one Librarian."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from rag.answering import Librarian
from rag.feedback import FeedbackStore
from rag.feeding import MAX_HANDED_BYTES, Ingestor
from rag.keys import KeyStore
from rag.records import Records
from rag.settings import Settings
from serve import errors, examples, tracing
from serve.access import Allowances, KeyCache, Turnstile, check_exposure, local_names, token_reader
from serve.access.allowance import HEADERS
from serve.given_answers import MAX_CHARACTERS, GivenAnswers
from serve.guard import Guard, Limit
from serve.metrics import Metrics
from serve.readings import Readings
from serve.routes import (
    api_docs,
    chat,
    collections,
    context,
    documents,
    feedback,
    health,
    jobs,
    keys,
    mcp,
    models,
    page,
    reading,
    search,
)
from serve.sharing import Shared
from serve.watching import Watched


def create_app(settings: Settings, librarian: Librarian, ingestor: Ingestor | None = None) -> FastAPI:
    """An application that answers with `librarian`, which stays the caller's to close.

    Documents are taken by `ingestor`, the caller's too; without one they are refused. Raises SettingsError where it
    would listen to strangers without a key, or cannot read the tokens it is to take.
    """
    check_exposure(settings)
    metrics = Metrics()
    metrics.add(Readings(librarian, ingestor))
    app = FastAPI(
        title="Librarian",
        version=package_version(),
        summary="Answers from your documents, with citations.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # the route is api_docs'
        redoc_url=None,  # a second page about the same, whose script would come from the internet
        redirect_slashes=False,  # it would send the key along to the name and the scheme that the request came with
    )
    app.state.settings = settings
    app.state.librarian = Watched(librarian, metrics, settings, tracing.install(app, settings))
    app.state.ingestor = ingestor
    app.state.keys = KeyCache(KeyStore(Records(ingestor.index))) if ingestor else None
    app.state.feedback = FeedbackStore(Records(ingestor.index), settings.feedback_days) if ingestor else None
    app.state.given_answers = GivenAnswers(MAX_CHARACTERS if settings.feedback_days else 0)
    app.state.tokens = token_reader(settings)
    app.state.holder_token = ""  # set once the process says where it serves
    app.state.stopping = False
    app.state.parsing = asyncio.Lock()
    app.state.probes = Shared[str]()
    app.state.metrics = metrics
    app.state.turnstile = Turnstile(settings.max_concurrent_requests, metrics)
    app.state.allowances = Allowances(metrics)
    app.state.tools = mcp.Tools(package_version(), settings.max_request_bytes)
    errors.install(app)
    for routes in (
        chat,
        context,
        collections,
        search,
        documents,
        reading,
        jobs,
        models,
        keys,
        mcp,
        health,
        page,
        api_docs,
    ):
        app.include_router(routes.router)
    if settings.feedback_days:  # a page that finds no such route shows no thumbs
        app.include_router(feedback.router)
    examples.install(app)
    if settings.cors_origins:  # inside the Guard, so that what it answers has the Guard's headers
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Location", "Retry-After", "X-Request-Id", *(name.decode() for name in HEADERS)],
        )
    uploads = Limit(settings.max_upload_bytes, "LIBRARIAN_MAX_UPLOAD_BYTES")
    handed = Limit(MAX_HANDED_BYTES, "of what a command hands over")
    app.add_middleware(
        Guard,
        metrics=metrics,
        max_body=Limit(settings.max_request_bytes, "LIBRARIAN_MAX_REQUEST_BYTES"),
        body_seconds=settings.request_timeout,
        hosts=local_names(settings),
        max_body_of={("POST", documents.PATH): uploads, ("POST", jobs.PATH): handed},
    )
    return app


def package_version() -> str:
    """The installed version, or "0" in a checkout that is not installed."""
    try:
        return version("librarian-rag")
    except PackageNotFoundError:
        return "0"
