"""Spans for OpenTelemetry, where its SDK is installed and an endpoint for them is set; else they come to nothing.

Names: OpenTelemetry's semantic conventions for HTTP and for generative AI. No span holds what was asked or answered.
"""

import logging
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode
from opentelemetry.trace import Span as Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Scope

from persona_cli import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger("persona")

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Tracing:
    """Begins spans.

    Args:
        provider: what makes them and sends them off; None makes none.
    """

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = (provider or NoOpTracerProvider()).get_tracer("persona", __version__)

    def begin(self, name: str, attributes: dict[str, str], calls_out: bool = False) -> Span:
        """The span of a part of the request that is being served; whoever begins it ends it.

        Args:
            calls_out: another server does the work.
        """
        kind = SpanKind.CLIENT if calls_out else SpanKind.INTERNAL
        return self._tracer.start_span(name, kind=kind, attributes=attributes)

    def request(self, scope: Scope) -> AbstractContextManager[Span]:
        """The span that all others of a request are below; itself below the caller's, if the caller sends one."""
        return self._tracer.start_as_current_span(
            "HTTP",  # what it is called in the end, its route tells
            TraceContextTextMapPropagator().extract(Headers(scope=scope)),
            SpanKind.SERVER,
            record_exception=False,  # its text may hold what was asked
            set_status_on_exception=False,
        )

    def close(self) -> None:
        """Send off what is left."""
        if self._provider:
            self._provider.shutdown()


def tracing() -> Tracing:
    """Spans to the endpoint of the environment, whose other OTEL_* variables hold too; or none."""
    if not os.environ.get(ENDPOINT):
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("%s is set, but no spans are sent: pip install 'persona-cli[otel]'", ENDPOINT)
        return Tracing()
    ours = Resource({"service.name": "persona", "service.version": __version__})
    provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def fail(span: Span, kind: str) -> None:
    """Mark a span as failed; only the kind of failure is kept."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
