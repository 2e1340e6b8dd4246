"""The FastAPI application: the routes over one Librarian."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from rag.answering import Librarian
from rag.settings import Settings
from serve import errors, tracing
from serve.access import Turnstile, check_exposure, local_names
from serve.guard import Guard
from serve.metrics import Metrics
from serve.routes import chat, health, models, search


def create_app(settings: Settings, librarian: Librarian) -> FastAPI:
    """An application that answers with `librarian`, which stays the caller's to close.

    Raises SettingsError where it would listen to strangers without a key.
    """
    check_exposure(settings)
    metrics = Metrics()
    app = FastAPI(
        title="Librarian",
        version=package_version(),
        summary="Answers from your documents, with citations.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.settings = settings
    app.state.librarian = librarian
    app.state.metrics = metrics
    app.state.turnstile = Turnstile(settings.max_concurrent_requests, metrics)
    errors.install(app)
    for routes in (chat, search, models, health):
        app.include_router(routes.router)
    tracing.install(app, settings)
    app.add_middleware(Guard, metrics=metrics, max_body=settings.max_request_bytes, hosts=local_names(settings))
    return app


def package_version() -> str:
    """The installed version, or "0" in a checkout that is not installed."""
    try:
        return version("librarian-rag")
    except PackageNotFoundError:
        return "0"
