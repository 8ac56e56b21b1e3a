"""The internals of uvicorn 0.54 and httptools that the guard rests on; a new version must pass this first."""

import asyncio
import inspect
from importlib.metadata import version

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from tidegate.gateway.guard import Guarded, guarded
from tidegate.gateway.limits import Limits


def names(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_version_is_the_pinned_one() -> None:
    assert version("uvicorn").startswith("0.54.")


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("__init__", ["self", "config", "server_state", "app_state", "_loop"]),
        ("connection_made", ["self", "transport"]),
        ("connection_lost", ["self", "exc"]),
        ("eof_received", ["self"]),
        ("data_received", ["self", "data"]),
        ("send_400_response", ["self", "msg"]),
        ("on_message_begin", ["self"]),
        ("on_url", ["self", "url"]),
        ("on_header", ["self", "name", "value"]),
        ("on_headers_complete", ["self"]),
        ("on_body", ["self", "body"]),
        ("on_message_complete", ["self"]),
        ("on_response_complete", ["self"]),
        ("shutdown", ["self"]),
        ("pause_writing", ["self"]),
        ("resume_writing", ["self"]),
    ],
)
def test_protocol_has_the_methods_that_are_overridden(method: str, parameters: list[str]) -> None:
    assert names(getattr(HttpToolsProtocol, method)) == parameters


def test_protocol_has_no_callback_that_the_guard_does_not_know() -> None:
    callbacks = {name for name in vars(HttpToolsProtocol) if name.startswith("on_")}
    assert callbacks <= set(vars(Guarded))


def test_server_has_the_steps_that_are_overridden() -> None:
    assert names(uvicorn.Server.startup) == ["self", "sockets"]
    assert names(uvicorn.Server.shutdown) == ["self", "sockets"]
    assert names(uvicorn.Server.main_loop) == ["self"]
    assert names(uvicorn.Server.on_tick) == ["self", "counter"]
    assert names(uvicorn.Server.capture_signals) == ["self"]
    assert {"connections", "tasks", "default_headers", "total_requests"} <= set(vars(ServerState()))


def test_connection_has_the_attributes_that_are_used() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    async def main() -> Guarded:
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
        protocol = guarded(Limits(), lambda error, path, headers: (error.status, [], b""))
        return protocol(config, ServerState(), {}, asyncio.get_running_loop())

    used = {"app", "client", "connections", "cycle", "flow", "loop", "parser"}
    used |= {"scheme", "server", "server_state", "tasks", "transport"}
    assert used <= set(vars(asyncio.run(main())))
    assert {"pause_writing", "resume_writing", "drain"} <= set(vars(FlowControl))


def test_every_refusal_has_a_status_line() -> None:
    assert STATUS_LINE[408] == b"HTTP/1.1 408 Request Timeout\r\n"
    assert {400, 405, 408, 413, 414, 415, 431, 499, 500, 501, 503} <= set(STATUS_LINE)


def test_parser_reports_chunks_and_has_the_calls_that_are_used() -> None:
    class Counter:
        chunks = 0

        def on_chunk_header(self) -> None:
            self.chunks += 1

    counter = Counter()
    parser = httptools.HttpRequestParser(counter)
    parser.feed_data(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
    assert counter.chunks == 2
    assert (parser.get_method(), parser.get_http_version()) == (b"POST", "1.1")
    assert (parser.should_upgrade(), parser.should_keep_alive()) == (False, True)
