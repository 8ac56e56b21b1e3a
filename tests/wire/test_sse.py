import base64
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.sse import EventReader, Frame, FrameReader, FrameTooLarge, read_block

DATA = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
VECTORS = DATA / "sse" / "vectors.jsonl"

STREAM = (
    b'\xef\xbb\xbf: hello\n\ndata: {"a":1}\n\n'
    b"event: x\r\ndata: caf\xc3\xa9\r\ndata: b\r\n\r\n"
    b": note\ndata:c\r\rdata: d\n\r\n\n\ndata: [DONE]\n\nda"
)


def frames(*chunks: bytes, limit: int = 1 << 20) -> tuple[list[Frame], bytes]:
    reader = FrameReader(limit)
    return [frame for chunk in chunks for frame in reader.feed(chunk)], reader.pending()


def cuts(raw: bytes) -> list[list[bytes]]:
    return [[raw], [raw[i : i + 1] for i in range(len(raw))], *([raw[:i], raw[i:]] for i in range(len(raw)))]


def with_data(found: list[Frame]) -> list[tuple[bytes, bytes]]:
    return [(frame.event, frame.data) for frame in found if frame.data]


def test_cuts_change_neither_frames_nor_bytes() -> None:  # trap S4
    for chunks in cuts(STREAM):
        found, rest = frames(*chunks)
        assert b"".join(frame.raw for frame in found) + rest == STREAM
        assert rest == b"da"
        assert with_data(found) == [
            (b"", b'{"a":1}'),
            (b"x", b"caf\xc3\xa9\nb"),
            (b"", b"c"),
            (b"", b"d"),
            (b"", b"[DONE]"),
        ]


def test_a_frame_holds_its_comments_and_its_blank_line() -> None:
    found, rest = frames(b"event: a\ndata: 1\n\n", b": ping\ndata: 2\n\n: alone\n\n")
    assert found == [
        Frame(b"event: a\ndata: 1\n\n", b"a", b"1"),
        Frame(b": ping\ndata: 2\n\n", b"", b"2"),
        Frame(b": alone\n\n", b"", b""),
    ]
    assert rest == b""


def test_whole_frames_in_one_chunk_come_at_once() -> None:
    reader = FrameReader()
    reader.feed(b"data: 0\n\n")
    assert [frame.data for frame in reader.feed(b"data: 1\n\ndata: 2\n\nda")] == [b"1", b"2"]
    assert reader.pending() == b"da"
    assert reader.feed(b"ta: 3\n\n") == [Frame(b"data: 3\n\n", b"", b"3")]


def test_a_carriage_return_that_ends_a_frame_is_not_waited_on() -> None:
    reader = FrameReader()
    assert [frame.data for frame in reader.feed(b"data: 1\r\n\r")] == [b"1"]
    assert reader.pending() == b""
    assert [frame.raw for frame in reader.feed(b"\ndata: 2\r\n\r\n")] == [b"\n", b"data: 2\r\n\r\n"]


@given(
    st.lists(
        st.sampled_from(
            [b"\n", b"\r", b"\r\n", b"data: x", b"data", b"event:e", b":c", b"\xef\xbb\xbf", b"data:\xc3\xa9"]
        ),
        max_size=24,
    ),
    st.lists(st.integers(0, 100), max_size=6),
)
def test_no_cut_of_any_stream_changes_it(lines: list[bytes], at: list[int]) -> None:
    raw = b"".join(lines)
    edges = sorted({0, len(raw), *(edge for edge in at if edge < len(raw))})
    whole, _ = frames(raw)
    cut, rest = frames(*(raw[a:b] for a, b in pairwise(edges)))
    assert b"".join(frame.raw for frame in cut) + rest == raw
    assert with_data(cut) == with_data(whole)


@pytest.mark.parametrize("step", [1, 100, 5000])
@pytest.mark.parametrize("end", [b"", b"\n\n", b"\r\n\r\n"])
def test_a_frame_over_the_limit_is_a_fault(step: int, end: bytes) -> None:  # case F8
    raw = b"data: 1\n\ndata: " + b"x" * 2000 + end
    reader = FrameReader(limit_bytes=1000)
    found: list[Frame] = []
    chunks = [*(raw[at : at + step] for at in range(0, len(raw), step)), b"data: 2\n\n"]
    with pytest.raises(FrameTooLarge) as caught:
        found.extend(frame for chunk in chunks for frame in reader.feed(chunk))
    assert [frame.data for frame in found] == [b"1"]
    assert not caught.value.retryable
    with pytest.raises(FrameTooLarge):
        reader.feed(b"\n\n")


def test_a_chunk_over_the_limit_may_hold_many_small_frames() -> None:
    found, rest = frames(b"data: x\n\n" * 500, limit=1000)
    assert len(found) == 500
    assert rest == b""


def test_a_block_without_its_blank_line_can_still_be_read() -> None:
    assert read_block(b"data: [DONE]\n") == (b"", b"[DONE]")
    assert read_block(b"event: a\r\nevent\rdata:1\ndata") == (b"", b"1\n")


def vectors() -> list[Any]:
    if not VECTORS.is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason="no SSE vectors (TIDEGATE_DATA)"))]
    lines = VECTORS.read_bytes().splitlines()
    return [pytest.param(vector, id=vector["name"]) for vector in map(msgspec.json.decode, lines)]


@pytest.mark.parametrize("vector", vectors())
def test_streams_are_read_as_browsers_read_them(vector: dict[str, Any]) -> None:
    raw = base64.b64decode(vector["input_b64"])
    edges = [0, *vector.get("splits", ()), len(raw)]
    ways = [[raw], [raw[a:b] for a, b in pairwise(edges)]]
    if len(raw) <= 20_000:
        ways.append([raw[i : i + 1] for i in range(len(raw))])
    if len(raw) <= 400:
        ways += cuts(raw)
    wanted = [(event["event"], event["data"], event["id"], event["retry"]) for event in vector["events"]]
    for chunks in ways:
        reader = EventReader(limit_bytes=1 << 26)
        events = [event for chunk in chunks for event in reader.feed(chunk)]
        assert [(event.event, event.data, event.id, event.retry_ms) for event in events] == wanted
        assert reader.comments == vector["comments"]
        assert reader.last_event_id == vector["last_event_id"]
        assert reader.retry_ms == vector["reconnection_time"]
        found, rest = frames(*chunks, limit=1 << 26)
        assert b"".join(frame.raw for frame in found) + rest == raw
        assert [data.decode(errors="replace") for _, data in with_data(found)] == [
            data for _, data, _, _ in wanted if data
        ]


def test_a_block_that_is_not_complete_still_sets_what_stands_outside_events() -> None:
    reader = EventReader()
    reader.feed(b"retry: 500\n: note\nid: 4\nretry: 9")
    assert reader.retry_ms == 500
    assert reader.comments == ["note"]
    assert reader.last_event_id == ""
