"""Traces, as a collector that speaks OpenTelemetry's own protocol gets them: from a producer's
`traceparent` to the calls that carry its events, and what a collector in trouble does not harm."""

import base64
import http.server
import json
import secrets
import socket
import struct
import threading
import time
import unittest

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from programs import DEADLINE_S, Gateway, arn, fetch, wait_until

SAMPLED, NOT_SAMPLED = "01", "00"
PRIVATE = "data-of-an-event"
# What spans may say, so that nothing else gets in unseen.
REQUEST = {"http.request.method", "http.route", "http.response.status_code", "request_id"}
MESSAGES = {"request_id", "count"}
CALL = {"account", "region", "channel", "n", "bytes", "items", "outcome"}
LINKS_MAX = 32


class Collector:
    """Takes `POST /v1/traces`, or answers with another status."""

    def __init__(self, status=200):
        self.spans, self.resources, self.paths = [], [], []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                request = ExportTraceServiceRequest.FromString(body)
                collector.paths.append((self.path, self.headers["content-type"]))
                for resource in request.resource_spans:
                    collector.resources.append(attributes(resource.resource))
                    for scope in resource.scope_spans:
                        collector.spans.extend(scope.spans)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, name):
        return [span for span in list(self.spans) if span.name == name]

    def wait_for(self, name, count=1):
        def look():
            found = self.named(name)
            return found if len(found) >= count else None

        return wait_until(f"{count} spans {name!r} are exported", look)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def attributes(of):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in of.attributes}


def context(flags=SAMPLED):
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-{flags}"


def linked(span):
    return {(link.trace_id.hex(), link.span_id.hex()) for link in span.links}


def identity(span):
    return span.trace_id.hex(), span.span_id.hex()


EVENTS = "POST /v1/channels/{channel}/events"


class Case(unittest.TestCase):
    def collector(self, **options):
        collector = Collector(**options)
        self.addCleanup(collector.close)
        return collector

    def gateway(self, endpoint, rest="", **variables):
        tracing = f'[tracing]\notlp_endpoint = "{endpoint}"\n{rest}'
        gateway = Gateway({"quiz": ""}, tracing, **variables)
        self.addCleanup(gateway.close)
        return gateway

    def publish(self, gateway, body, channel="quiz", status=202, **headers):
        url = f"{gateway.url}/v1/channels/{channel}/events"
        answer = fetch(url, "POST", json.dumps(body), **headers)
        self.assertEqual(answer[0], status, answer)
        return answer


class Traces(Case):
    def test_from_the_producer_to_the_call(self):
        collector = self.collector()
        gateway = self.gateway(collector.url)
        trace, parent, header = context()
        event = {"data": PRIVATE, "type": PRIVATE, "key": PRIVATE, "id": PRIVATE}
        headers = {"traceparent": header, "tracestate": "vendor=1", "x-request-id": "my-own"}
        self.publish(gateway, event, **headers)
        (request,) = collector.wait_for(EVENTS)
        self.assertEqual((request.trace_id.hex(), request.parent_span_id.hex()), (trace, parent))
        self.assertEqual((request.kind, request.trace_state), (Span.SPAN_KIND_SERVER, "vendor=1"))
        said = attributes(request)
        self.assertEqual(
            said,
            {
                "http.request.method": "POST",
                "http.route": "/v1/channels/{channel}/events",
                "http.response.status_code": 202,
                "request_id": "my-own",
            },
        )
        (call,) = collector.wait_for("PutMetadata")
        self.assertEqual(linked(call), {identity(request)})
        self.assertNotEqual(call.trace_id, request.trace_id)
        self.assertEqual(call.kind, Span.SPAN_KIND_CLIENT)
        (payload,) = gateway.emulator.taken("quiz")
        said = attributes(call)
        self.assertEqual(said.pop("n"), json.loads(payload)["n"])
        self.assertEqual(
            said,
            {
                "account": "000000000000",
                "region": "us-west-2",
                "channel": arn("quiz"),
                "bytes": len(payload),
                "items": 1,
                "outcome": "delivered",
            },
        )
        for span in (request, call):
            self.assertLess(span.start_time_unix_nano, span.end_time_unix_nano)
            self.assertEqual(span.status.code, Status.STATUS_CODE_UNSET)
        self.assertEqual(set(collector.paths), {("/v1/traces", "application/x-protobuf")})
        for resource in collector.resources:
            self.assertEqual(resource["service.name"], "cuegate")
            self.assertRegex(resource["service.version"], r"^\d+\.\d+\.\d+$")
        self.assertNotIn(PRIVATE.encode(), b"".join(s.SerializeToString() for s in collector.spans))

    def test_a_payload_links_to_all_its_requests_and_to_no_other(self):
        collector = self.collector()
        gateway = self.gateway(collector.url)
        url = f"{gateway.url}/v1/channels/quiz"
        self.assertEqual(fetch(f"{url}/pause", "POST")[0], 204)
        # Of what is never delivered, what is not sampled, and what comes in several ways.
        _, gone, header = context()
        self.publish(gateway, {"data": 0, "id": "gone"}, traceparent=header)
        self.assertEqual(fetch(f"{url}/events/gone", "DELETE")[0], 204)
        self.publish(gateway, {"data": 1}, traceparent=context(NOT_SAMPLED)[2])
        parents = set()
        for body, path in (
            ([{"data": 2}, {"data": 3}], "/v1/channels/quiz/events"),
            ({"data": 4, "channel": "quiz"}, "/v1/events"),
            ([{"data": 5, "channel": "quiz"}], "/v1/events?atomic=true"),
            ({"channelArn": arn("quiz"), "metadata": "6"}, "/PutMetadata"),
        ):
            trace, parent, header = context()
            parents.add((trace, parent))
            status, _, text = fetch(gateway.url + path, "POST", json.dumps(body), traceparent=header)
            self.assertIn(status, (202, 204), text)
        self.assertEqual(fetch(f"{url}/resume", "POST")[0], 204)
        gateway.drained("quiz")
        payloads = gateway.emulator.taken("quiz")
        self.assertEqual(len(payloads), 2, payloads)
        calls = collector.wait_for("PutMetadata", 2)
        requests = {identity(s): s for s in collector.spans if s.kind == Span.SPAN_KIND_SERVER}
        found = [(requests[link].trace_id.hex(), requests[link].parent_span_id.hex()) for c in calls for link in linked(c)]
        self.assertEqual(sorted(found), sorted(parents))
        # The string of the IVS door goes alone.
        self.assertEqual(sorted(len(call.links) for call in calls), [1, 3])
        self.assertFalse([s for s in requests.values() if s.parent_span_id.hex() == gone and linked(s)])

    def test_links_are_bounded_and_a_payload_sent_again_has_them_again(self):
        collector = self.collector()
        gateway = self.gateway(collector.url)
        url = f"{gateway.url}/v1/channels/quiz"
        self.assertEqual(fetch(f"{url}/pause", "POST")[0], 204)
        for n in range(LINKS_MAX + 8):
            self.publish(gateway, {"data": n})
        throttle = {"kind": "throttle", "probability": 1.0, "duration_ms": 60000}
        status, _, text = fetch(f"{gateway.emulator.url}/_local/faults", "POST", json.dumps(throttle))
        self.assertEqual(status, 200, text)
        self.assertEqual(fetch(f"{url}/resume", "POST")[0], 204)
        collector.wait_for("PutMetadata")
        self.assertEqual(fetch(f"{gateway.emulator.url}/_local/faults", "DELETE")[0], 204)
        gateway.drained("quiz")
        delivered = wait_until(
            "the call that was taken is exported",
            lambda: [c for c in collector.named("PutMetadata") if attributes(c)["outcome"] == "delivered"],
        )
        throttled = [c for c in collector.named("PutMetadata") if attributes(c)["outcome"] == "throttled"]
        self.assertTrue(throttled)
        for call in throttled:
            self.assertEqual(call.status.code, Status.STATUS_CODE_ERROR)
        self.assertEqual(len(delivered[0].links), LINKS_MAX)
        self.assertEqual(linked(delivered[0]), linked(throttled[0]))

    def test_the_parent_says_whether_it_is_sampled_and_must_be_valid(self):
        collector = self.collector()
        gateway = self.gateway(collector.url)
        trace, _, header = context(NOT_SAMPLED)
        self.publish(gateway, {"data": 1}, traceparent=header)
        wrong = context()[2].upper()
        self.publish(gateway, {"data": 2}, traceparent=wrong)
        collector.wait_for(EVENTS)
        # Whatever waited is exported at the end.
        self.assertEqual(gateway.stop(), 0, gateway.text())
        requests = collector.named(EVENTS)
        self.assertEqual(len(requests), 1, "one was not sampled")
        self.assertEqual(requests[0].parent_span_id, b"")
        self.assertNotIn(trace, [span.trace_id.hex() for span in collector.spans])

    def test_messages_of_a_websocket_are_in_the_trace_of_its_opening(self):
        collector = self.collector()
        gateway = self.gateway(collector.url)
        trace, parent, header = context()
        host, _, port = gateway.addresses.producers.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as connection:
            key = base64.b64encode(secrets.token_bytes(16)).decode()
            connection.sendall(
                f"GET /v1/channels/quiz/ws HTTP/1.1\r\nhost: quiz\r\nconnection: upgrade\r\n"
                f"upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
                f"traceparent: {header}\r\n\r\n".encode()
            )
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            self.assertTrue(head.startswith(b"HTTP/1.1 101"), head)
            # One frame, masked with zeros.
            text = b'{"data":1}'
            connection.sendall(struct.pack("!BBI", 0x81, 0x80 | len(text), 0) + text)
            (messages,) = collector.wait_for("WebSocket messages")
        (opening,) = collector.wait_for("GET /v1/channels/{channel}/ws")
        self.assertEqual((opening.trace_id.hex(), opening.parent_span_id.hex()), (trace, parent))
        self.assertEqual((messages.trace_id, messages.parent_span_id), (opening.trace_id, opening.span_id))
        self.assertEqual(attributes(messages)["request_id"], attributes(opening)["request_id"])
        self.assertEqual(attributes(opening)["http.response.status_code"], 101)
        (call,) = collector.wait_for("PutMetadata")
        self.assertEqual(linked(call), {identity(messages)})

    def test_spans_say_nothing_else(self):
        collector = self.collector()
        # Whatever the log shows, and however much of it.
        gateway = self.gateway(collector.url, CUEGATE_LOG="trace")
        self.publish(gateway, {"data": PRIVATE})
        self.publish(gateway, {"data": 1, PRIVATE: 2}, status=400)
        fetch(f"{gateway.url}/v1/channels/{PRIVATE}")
        fetch(f"{gateway.url}/{PRIVATE}")
        gateway.drained("quiz")
        self.assertEqual(gateway.stop(), 0)
        allowed = {Span.SPAN_KIND_SERVER: REQUEST | MESSAGES, Span.SPAN_KIND_CLIENT: CALL}
        self.assertGreaterEqual(len(collector.spans), 5)
        for span in collector.spans:
            self.assertLessEqual(set(attributes(span)), allowed[span.kind], span.name)
            self.assertFalse(span.events)
            self.assertNotIn(PRIVATE.encode(), span.SerializeToString())

    def test_without_an_endpoint_nothing_is_sent(self):
        collector = self.collector()
        # The standard's own variable does not open the door either.
        gateway = self.gateway("", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        self.publish(gateway, {"data": 1}, traceparent=context()[2])
        gateway.drained("quiz")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(collector.paths, [])


class Trouble(Case):
    """A collector in trouble costs traces and nothing else."""

    def check(self, endpoint, complaint):
        gateway = self.gateway(endpoint, "[server]\ndrain_timeout_ms = 2000")
        for n in range(200):
            self.publish(gateway, {"data": n})
        wait_until("it is said", lambda: "traces cannot be exported" in gateway.text())
        gateway.drained("quiz")
        taken = gateway.emulator.taken("quiz")
        begun = time.monotonic()
        self.assertEqual(gateway.stop(), 0, gateway.text())
        took = time.monotonic() - begun
        text = gateway.text()
        # Not once for each export: they come every second.
        self.assertEqual(text.count("traces cannot be exported"), 1, text)
        self.assertIn(complaint, text)
        self.assertIn("drained", text.strip().splitlines()[-1])
        items = [item["d"] for payload in taken for item in json.loads(payload)["e"]]
        self.assertEqual(items, list(range(200)))
        return took

    def test_nobody_there(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            self.check(f"http://127.0.0.1:{nobody.getsockname()[1]}", "refused")

    def test_silence(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(64)
            took = self.check(f"http://127.0.0.1:{silent.getsockname()[1]}", "no answer within")
        # Tokens are out for a second, the last export may take two: this is no bound of theirs,
        # and far from waiting for a collector that never answers.
        self.assertLess(took, DEADLINE_S)

    def test_refusals(self):
        self.check(self.collector(status=503).url, "503")
