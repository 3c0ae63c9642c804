"""Spans, as a collector gets them from a real server."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.servers import ASKED, StartServer, environment
from tests.stub_model import StubModel

KEY = "key-of-one-caller-0004"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes spans: its address, and what was posted to it."""
    posted: list[bytes] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Take) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()
        thread.join()


def test_spans_lead_from_the_request_to_the_model_and_hold_no_words(
    faq_folder: Path, stub_model: StubModel, start_server: StartServer, collector: tuple[str, list[bytes]]
) -> None:
    place, posted = collector
    server = start_server(
        faq_folder,
        OPENAI_BASE_URL=stub_model.base_url,
        PERSONA_MODEL="stub",
        OTEL_EXPORTER_OTLP_ENDPOINT=place,
        OTEL_SERVICE_NAME="wren",
    )
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert server.post({"prompt": ASKED, "api_key": KEY}, headers={"traceparent": parent}).status_code == 200
    assert server.get(f"/nowhere/{KEY}?{KEY}").status_code == 404
    assert server.end() == 0  # which sends what is left
    sent = [ExportTraceServiceRequest.FromString(body) for body in posted]
    assert 'key: "service.name"' in str(sent)
    assert "wren" in str(sent)
    spans = {
        span.name: span
        for request in sent
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert spans.keys() == {"POST /chat/", "retrieval", "chat stub", "GET"}
    root = spans["POST /chat/"]
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == tuple(parent.split("-")[1:3])
    assert {spans[name].parent_span_id for name in ("retrieval", "chat stub")} == {root.span_id}
    assert {a.key: a.value.string_value or a.value.int_value for a in spans["chat stub"].attributes} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "stub",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 10,
    }
    assert {a.key: a.value.string_value or a.value.int_value for a in root.attributes} == {
        "http.request.method": "POST",
        "http.route": "/chat/",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    for secret in (ASKED, KEY, "유퀴즈", stub_model.answer):
        assert secret.encode() not in b"".join(posted)


def test_no_endpoint_for_spans_leaves_their_packages_alone() -> None:
    code = "import sys; from persona_cli.server import create_app; create_app(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert not [
        name for name in done.stdout.split() if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))
    ]
