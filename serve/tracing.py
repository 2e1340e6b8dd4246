"""OpenTelemetry traces of the API's requests: off by default, an extra of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from rag.errors import SettingsError
from rag.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

UNTRACED = "healthz,readyz,metrics"  # probes and scrapers would drown everything else


def install(app: FastAPI, settings: Settings) -> Tracer | None:
    """Trace each request where `otel` is set; the exporter reads the standard OTEL_* variables. Returns what takes
    further spans; None where nothing is traced.

    Raises SettingsError where the extra is not installed.
    """
    if not settings.otel:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"LIBRARIAN_OTEL is set, but {error.name} is not installed: pip install 'librarian-rag[otel]'."
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "librarian"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    app.state.tracer_provider = provider  # kept for its flush at the process's end
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=UNTRACED)
    return provider.get_tracer("librarian")
