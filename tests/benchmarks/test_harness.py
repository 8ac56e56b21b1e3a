"""The harness measures what it says: whole calls, counted once, against a provider on loopback."""

import asyncio
import json
import math
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from benchmarks import bodies, chart, table
from benchmarks.client import Address, Streams, closed_loop, open_loop, probe
from benchmarks.provider import CHAT, CHUNKS, MESSAGES, Canned, Conversation
from benchmarks.results import Results
from benchmarks.scenarios import QUICK, pace, quantile, why_not
from tidegate.model.provider import UsageRules
from tidegate.model.request import Surface
from tidegate.wire.registry import CODECS
from tidegate.wire.sse import FrameReader


def with_provider(
    use: Callable[[Address], Coroutine[Any, Any, None]], path: str = "/v1/chat/completions"
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Conversation(loop), "127.0.0.1", 0)
        async with server:
            await use(Address(server.sockets[0].getsockname()[1], path, {}))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "size", "tools"),
    [(bodies.small("fast"), 1_000, 0), (bodies.middle("fast"), 8_500, 4), (bodies.large("fast"), 80_000, 25)],
)
def test_bodies_have_the_stated_size_and_tools(body: bodies.Body, size: int, tools: int) -> None:
    fields = json.loads(body.raw)
    assert len(body.raw) == size
    assert len(fields.get("tools", ())) == tools
    assert [message["role"] for message in fields["messages"]][0 :: len(fields["messages"]) - 1] == [
        "system",
        "user",
    ]


def test_closed_loop_makes_the_stated_number_of_calls() -> None:
    async def use(address: Address) -> None:
        tally = await closed_loop(address, bodies.small("fast").raw, connections=8, for_s=30, calls=100)
        assert (len(tally.latencies_s), tally.failed) == (100, 0)

    with_provider(use)


def test_open_loop_makes_every_call() -> None:
    async def use(address: Address) -> None:
        tally = await open_loop(address, bodies.small("fast").raw, per_s=500, for_s=0.1)
        assert (len(tally.latencies_s), tally.failed, tally.unsent) == (50, 0, 0)

    with_provider(use)


def test_the_provider_answers_messages_too() -> None:
    async def use(address: Address) -> None:
        tally = await closed_loop(address, bodies.small("fast").raw, connections=2, for_s=30, calls=10)
        assert (len(tally.latencies_s), tally.failed) == (10, 0)

    with_provider(use, "/v1/messages")


@pytest.mark.parametrize(("surface", "canned"), [("chat", CHAT), ("messages", MESSAGES)])
def test_canned_replies_are_whole_in_their_dialect(surface: Surface, canned: Canned) -> None:
    codec = CODECS[surface]
    head, _, whole = canned.whole.partition(b"\r\n\r\n")
    assert head.endswith(b"content-length: %d" % len(whole))
    assert codec.read_reply(whole, UsageRules()).complete
    watcher = codec.watch_stream(UsageRules(), injected_usage=False)
    raw = dechunked((canned.first + canned.token + canned.last).partition(b"\r\n\r\n")[2])
    for frame in FrameReader().feed(raw):
        watcher.event(frame.event, frame.data)
    assert (watcher.facts.complete, watcher.facts.bad_frames) == (True, 0)
    assert watcher.facts.text_bytes == len("A token")
    assert watcher.facts.usage is not None


def dechunked(raw: bytes) -> bytes:
    whole = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        whole, raw = whole + raw[: int(size, 16)], raw[int(size, 16) + 2 :]
    return whole


def test_streams_count_their_events() -> None:
    async def use(address: Address) -> None:
        streams = Streams(address, bodies.small("fast", stream=True).raw)
        await streams.start(3, within_s=0.01)
        for _ in range(5_000):
            if streams.events >= 6:
                break
            await asyncio.sleep(0.001)
        assert streams.begun == 3
        assert streams.ended == 0
        assert streams.events < 3 * CHUNKS
        streams.abort()

    with_provider(use)


def test_a_late_answer_counts_for_the_probes_it_held_up() -> None:
    async def run() -> None:
        over = asyncio.Event()

        class Slow(Conversation):
            def data_received(self, data: bytes) -> None:
                over.set()
                asyncio.get_running_loop().call_later(0.055, super().data_received, data)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Slow(loop), "127.0.0.1", 0)
        async with server:
            address = Address(server.sockets[0].getsockname()[1], "/healthz", {})
            waits_s = await probe(address, "/healthz", every_s=0.01, until=over)
        assert len(waits_s) >= 6
        assert waits_s == sorted(waits_s, reverse=True)

    asyncio.run(run())


def test_a_peer_that_cannot_carry_so_many_streams_is_left_out_with_the_reason() -> None:
    assert why_not(1_000, {"events_per_s": 4_900.0}, 200, 20_000) == ""
    assert why_not(10, None, 0, 20_000) == ""
    assert why_not(1_000, {"events_per_s": 1_119.0}, 200, 20_000) == (
        "at 200 it carried 1,119 of 5,000 chunks per second"
    )
    assert why_not(1_000, None, 200, 1_024) == (
        "1,024 open files are allowed and 2,256 are needed (ulimit -n)"
    )


def test_many_streams_have_a_lower_pace() -> None:
    assert [pace(streams) for streams in (10, 200, 1_000)] == [25, 25, 10]


def test_quantiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)) == (51, 100, 100)
    assert math.isnan(quantile([], 0.5))


def example() -> Results:
    results = Results(QUICK)
    for peer, cpu_us, p50_ms in (("direct", None, 60.0), ("nginx", 20.0, 60.5), ("Tidegate", 180.0, 61.0)):
        for scenario in (table.SMALL, "open 200"):
            figures = {"p50_ms": p50_ms, "p99_ms": p50_ms} | ({"cpu_us": cpu_us} if cpu_us else {})
            results.add(scenario, peer, figures)
    return results


def test_ratios_rest_on_nginx_and_latencies_on_the_direct_way() -> None:
    results = example()
    assert table.ratio(results, table.SMALL, "Tidegate", "cpu_us") == 9
    assert results.added("open 200", "Tidegate", "p50_ms") == 1
    assert results.median("streams 10", "Tidegate", "event_us") is None


def test_what_translation_costs_stands_beside_its_limits() -> None:
    results = example()
    results.add("translated", "Tidegate", {"added_us": 150.0, "added_event_us": 31.0})
    text = table.markdown(results, "python -m benchmarks")
    assert "| added CPU per translated call, 8.5 kB (us) | at most 200 | 150 | held |" in text
    assert "| added CPU per translated chunk (us) | at most 30 | 31.0 | **not held** |" in text


def test_tables_and_charts_leave_out_what_was_not_measured() -> None:
    results = example()
    results.skipped["litellm"] = "no network"
    text = table.markdown(results, "python -m benchmarks")
    assert "| CPU per call, 1 kB, in nginx's | at most 10 | 9.00 | held |" in text
    assert "Not measured: litellm: no network" in text
    assert "Tidegate" in chart.text(results)
    assert chart.svg(results).endswith("</svg>\n")
    assert json.loads(json.dumps(results.as_json()))["skipped"] == {"litellm": "no network"}
