"""Providers that cannot be reached, or fail in turn, and fallbacks that cannot take the call."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.dialects import Json
from tests.support.faulty import ASKED, Ground, Row, check, ground, params
from tests.support.raw_server import Peer, RawServer
from tests.support.served import free_port
from tests.support.tls import contexts

ONCE, TWICE = ("unreachable -",), ("unreachable -", "unreachable -")
DOWN: Json = {"fault": "overload"}
PREFILLED: tuple[Json, ...] = (
    {"role": "user", "content": ASKED},
    {"role": "assistant", "content": "Gladly:"},
)


def fail(tries: tuple[str, ...], *names: str) -> list[Row]:
    """Rows of one place that cannot be reached: before a fallback, and alone."""
    rows = [Row(f"{name}", {}, ONCE, sent="no") for name in names]
    return rows + [
        replace(
            one,
            name=f"{one.name}-alone",
            tries=tries,
            ends="error",
            behind=(),
            status=502,
            code="upstream_unreachable",
        )
        for one in rows
    ]


UNREACHABLE = (*fail(TWICE, "refused", "blackhole", "no-such-name"), *fail(ONCE, "bad-certificate", "no-tls"))
FALLBACKS = (
    Row("old", {"no_prefill": True}, (), provider="anthropic"),
    Row("prefill", DOWN, (), provider="anthropic-compatible", behind=("a-old", "c")),
    Row("prefill-first", {"no_prefill": True}, (), provider="anthropic", behind=("c",)),
    Row("prefill-translated", {}, (), behind=("a-old", "c")),
)
PAIRS = tuple(
    Row(f"{pair}-{side}", {}, (), behind=(f"a-{pair}-{other}",))
    for pair in ("twice", "in-turn", "over")
    for side, other in (("left", "right"), ("right", "left"))
)


@contextlib.contextmanager
def blackhole() -> Iterator[str]:
    """A place that takes no connection and refuses none: its queue is full and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def silent(peer: Peer) -> None:
    """Never reached: the handshake fails."""
    peer.drain()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder: Path = tmp_path_factory.mktemp("tls")
    tls, _ = contexts(folder)
    with RawServer(silent, tls=tls) as untrusted, RawServer(answers_plainly) as plain, blackhole() as hole:
        places = {
            "refused": f"http://127.0.0.1:{free_port()}",
            "blackhole": hole,
            "no-such-name": "https://nowhere.invalid",
            "bad-certificate": untrusted.url,
            "no-tls": f"https://127.0.0.1:{plain.port}",
        }
        rows = [replace(one, base_url=places[one.name.removesuffix("-alone")]) for one in UNREACHABLE]
        with ground(tmp_path_factory.mktemp("served"), [*rows, *FALLBACKS, *PAIRS]) as made:
            yield made


def answers_plainly(peer: Peer) -> None:
    """What a server without TLS says to a handshake."""
    peer.sock.recv(65536)
    with contextlib.suppress(ConnectionError):
        peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


@pytest.fixture(scope="module")
def whole(here: Ground) -> str:
    """What every deployment answers."""
    return here.ask("b").text


@pytest.mark.parametrize("row", UNREACHABLE, ids=lambda row: row.name)
def test_unreachable(
    here: Ground, whole: str, row: Row, record_property: Callable[[str, object], None]
) -> None:
    answer = check(here, replace(row, base_url="elsewhere"), whole, record_property)
    _, attempts = here.recorded(answer.ident)
    assert all(one["cost_nano"] == 0 for one in attempts if one["deployment"] == f"a-{row.name}")


@pytest.mark.parametrize("row", params(FALLBACKS[1:]))
def test_a_deployment_that_takes_no_prefill_is_left_out(here: Ground, row: Row) -> None:  # trap R4
    answer = here.ask(row.name, "messages", turns=PREFILLED)
    assert answer.is_whole
    assert answer.text == here.ask("c", "messages", turns=PREFILLED).text
    _, attempts = here.recorded(answer.ident)
    assert attempts[-1]["deployment"] == "c"
    assert all(one["error_class"] != "bad" for one in attempts)


def queue(here: Ground, *failing: str) -> None:
    """Let the next call of each of these models fail, in any order of the calls."""
    items = [{"script": DOWN, "model": f"m-{name}"} for name in failing]
    here.upstream.app.scenario.add(json.dumps(items))


def test_two_that_fail_in_turn_answer_in_the_end(here: Ground, whole: str) -> None:
    queue(here, "twice-left", "twice-left", "twice-right")
    answer = here.ask("twice-left")
    assert answer.is_whole
    assert answer.text == whole
    request, attempts = here.recorded(answer.ident)
    assert request["outcome"] == "ok"
    assert [(one["deployment"], one["status"]) for one in attempts] == [
        ("a-twice-left", "error"),
        ("a-twice-left", "error"),
        ("a-twice-right", "error"),
        ("a-twice-right", "ok"),
    ]
    assert here.charged("m-twice-left") == {"input": 0, "output": 0}
    assert here.charged("m-twice-right")["output"] == attempts[-1]["output_text"]


def test_calls_go_on_while_two_fail_alternately(here: Ground, whole: str) -> None:
    for side in ("left", "right") * 3:
        queue(here, f"in-turn-{side}", f"in-turn-{side}")
        answer = here.ask(f"in-turn-{side}", stream=True)
        assert answer.is_whole
        assert answer.text == whole
        _, attempts = here.recorded(answer.ident)
        assert [one["status"] for one in attempts][-1] == "ok"
        assert attempts[-1]["deployment"] != f"a-in-turn-{side}"
        here.upstream.app.scenario.queue.clear()


def test_two_that_both_fail_end_in_an_honest_error(here: Ground) -> None:
    queue(here, *("over-left", "over-right") * 4)
    answer = here.ask("over-left")
    assert (answer.status, answer.code) == (503, "server_is_overloaded")
    request, attempts = here.recorded(answer.ident)
    assert request["outcome"] == "failed"
    assert [one["status"] for one in attempts] == ["error"] * 4
    assert here.calls("m-over-left") + here.calls("m-over-right") == 4
    assert sum(one["cost_nano"] for one in attempts) == 0


def test_nothing_is_left_open(here: Ground) -> None:
    here.served.wait_for(here.is_quiet)
