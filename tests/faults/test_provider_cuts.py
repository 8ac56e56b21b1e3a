"""Replies that break: the connection, a stream, a character, a tool call; in one dialect and across two.

Where nothing was shown another deployment answers; where something was, the client is told in its dialect.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.dialects import Json
from tests.support.faulty import Ending, Ground, Row, check, flags_of, ground, output_of, params
from tidegate.model.request import Surface

TWICE_CUT = ("truncated -", "truncated -")
TWICE_BROKEN = ("unreachable -", "unreachable -")
TWICE_UPSTREAM = ("error upstream", "error upstream")
LATE = ("timeout -",)
CUT = ("truncated -",)
FAILED = ("error -",)
OK = ("ok -",)


@dataclass(frozen=True)
class Lane:
    """A client's dialect before a provider's. `estimates`: on whose word a stream that was cut is billed."""

    name: str
    surface: Surface
    provider: str
    behind: str
    estimates: str = "estimated"


CHAT = Lane("chat", "chat", "openai-compatible", "b")
MESSAGES = Lane("messages", "messages", "anthropic-compatible", "c", "mixed")
RESPONSES = Lane("responses", "responses", "openai-compatible", "b")
CHAT_AT_MESSAGES = Lane("chat-at-messages", "chat", "anthropic-compatible", "b", "mixed")
MESSAGES_AT_CHAT = Lane("messages-at-chat", "messages", "openai-compatible", "c")
STRAIGHT = (CHAT, MESSAGES, RESPONSES)
ACROSS = (CHAT_AT_MESSAGES, MESSAGES_AT_CHAT)
LANES = (*STRAIGHT, *ACROSS)
UNTIL = {CHAT: 6, MESSAGES: 6, RESPONSES: 7, CHAT_AT_MESSAGES: 6, MESSAGES_AT_CHAT: 6}
"""After how many events a client was shown a few words."""


def row(
    lane: Lane, name: str, script: Json, tries: tuple[str, ...], ends: Ending = "second", **more: Any
) -> Row:
    """A row of one lane, streamed unless it says otherwise."""
    facts: Json = {"stream": True, "counts": "estimated", **more}
    facts |= {"surface": lane.surface, "provider": lane.provider}
    return Row(f"{lane.name}-{name}", script, tries, ends, behind=(lane.behind,), **facts)


def cut(lane: Lane, name: str, script: Json, **more: Any) -> Row:
    """A row whose client was shown something before the stream failed."""
    facts: Json = {"code": "upstream_truncated", "counts": lane.estimates, **more}
    return row(lane, name, script, CUT, "cut", **facts)


def before_content(lane: Lane) -> Iterator[Row]:
    yield row(lane, "reset-before-head", {"reset_after": 0}, TWICE_BROKEN, sent="maybe")
    yield row(lane, "closed-before-head", {"cut_after": 0}, TWICE_BROKEN, sent="maybe")
    yield row(lane, "reset-after-head", {"reset_after": "head"}, TWICE_CUT)
    yield row(lane, "closed-after-head", {"cut_after": "head"}, TWICE_CUT)
    yield row(lane, "ended-after-head", {"end_after": "head"}, TWICE_CUT)


def after_content(lane: Lane) -> Iterator[Row]:
    at = UNTIL[lane]
    yield cut(lane, "reset-after-events", {"reset_after": at})
    yield cut(lane, "closed-after-events", {"cut_after": at})
    yield cut(lane, "closed-inside-an-event", {"cut_after": at + 0.5})
    yield cut(lane, "ended-without-finish", {"end_after": at})  # trap S6
    yield cut(lane, "ended-inside-an-event", {"end_after": at + 0.5})
    yield cut(lane, "reset-inside-a-character", {"reset_after": "utf8"})  # trap S4
    yield cut(lane, "ended-inside-a-character", {"end_after": "utf8"})
    yield cut(lane, "reset-inside-a-tool-call", {"reset_after": "tool"}, tool=True)  # trap S7
    yield cut(lane, "ended-inside-a-tool-call", {"end_after": "tool"}, tool=True)


def told(lane: Lane, later: str) -> Iterator[Row]:
    """An error event inside a 200 (case F6, trap S12): before content, and with this code after it."""
    said = {"fault": "overload"}
    counts = lane.estimates
    yield row(lane, "error-first", {**said, "error_event_after": 1}, TWICE_UPSTREAM, counts=counts)
    script = {**said, "error_event_after": UNTIL[lane]}
    yield row(lane, "error-later", script, FAILED, "cut", code=later, counts=counts)


SILENT = (  # cases F1, F2, trap R5
    row(CHAT, "hang-before-head", {"hang_after": 0}, LATE, sent="maybe"),
    row(MESSAGES, "hang-after-head", {"hang_after": "head"}, LATE),
    row(MESSAGES_AT_CHAT, "hang-before-content", {"hang_after": 1}, LATE),
    *(cut(lane, "stall", {"hang_after": UNTIL[lane]}) for lane in (CHAT, RESPONSES, CHAT_AT_MESSAGES)),
    cut(MESSAGES, "stall-inside-a-tool-call", {"hang_after": "tool"}, tool=True),
)
ERRORS = (
    *told(CHAT, "server_is_overloaded"),
    *told(MESSAGES, "overloaded_error"),
    *told(RESPONSES, "server_is_overloaded"),
    *told(CHAT_AT_MESSAGES, "overloaded_error"),
    *told(MESSAGES_AT_CHAT, "api_error"),
    row(RESPONSES, "failed-first", {"error_event_after": 2, "response_failed": True}, TWICE_UPSTREAM),
    row(
        RESPONSES,
        "failed-later",
        {"error_event_after": UNTIL[RESPONSES], "response_failed": True},
        FAILED,
        "cut",
        code="server_error",
    ),
)
TOLERATED = (  # case F7, traps S4, S5
    *(
        row(
            lane,
            "odd-lines",
            {"crlf": True, "bom": True, "comment": True, "split": 3},
            OK,
            "first",
            counts="provider",
        )
        for lane in LANES
    ),
    *(
        row(
            lane,
            "bad-event",
            {"malformed_after": UNTIL[lane]},
            OK,
            "first",
            counts="provider",
        )
        for lane in LANES
    ),
    *(
        row(
            lane,
            "no-end-mark",
            {"no_done": True},
            OK,
            "first",
            counts="provider",
        )
        for lane in LANES
        if lane is not RESPONSES
    ),
    row(RESPONSES, "no-end-mark", {"no_done": True}, CUT, "cut", code="upstream_truncated"),
)
PLAIN = (
    row(
        CHAT,
        "plain-reset-before-head",
        {"reset_after": 0},
        TWICE_BROKEN,
        stream=False,
        sent="maybe",
    ),
    row(CHAT, "plain-reset-in-half", {"reset_after": 1}, TWICE_BROKEN, stream=False),
    row(MESSAGES, "plain-closed-in-half", {"cut_after": 1}, TWICE_BROKEN, stream=False),
    row(RESPONSES, "plain-ended-in-half", {"end_after": 1}, ("error -", "error -"), stream=False),
    row(MESSAGES_AT_CHAT, "plain-stalled-in-half", {"hang_after": 1}, LATE, stream=False),
)
ALONE = tuple(
    replace(one, name=f"{one.name}-alone", behind=(), ends="error", status=status, code=code)
    for one, status, code in (
        (row(CHAT, "reset-after-head", {"reset_after": "head"}, TWICE_CUT), 502, "upstream_truncated"),
        (row(MESSAGES, "reset-after-head", {"reset_after": "head"}, TWICE_CUT), 502, "upstream_truncated"),
        (row(RESPONSES, "reset-after-head", {"reset_after": "head"}, TWICE_CUT), 502, "upstream_truncated"),
        (
            row(CHAT, "plain-reset", {"reset_after": 1}, TWICE_BROKEN, stream=False),
            502,
            "upstream_unreachable",
        ),
        (
            row(CHAT_AT_MESSAGES, "hang", {"hang_after": 0}, LATE * 2, sent="maybe"),
            504,
            "upstream_timeout",
        ),
        (
            row(MESSAGES, "reset-before-head", {"reset_after": 0}, TWICE_BROKEN, sent="maybe"),
            502,
            "upstream_unreachable",
        ),
    )
)
ROWS = (
    *(one for lane in LANES for one in before_content(lane)),
    *(one for lane in LANES for one in after_content(lane)),
    *SILENT,
    *ERRORS,
    *TOLERATED,
    *PLAIN,
    *ALONE,
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("served"), ROWS) as made:
        yield made


@pytest.fixture(scope="module")
def whole(here: Ground) -> str:
    """What every deployment answers."""
    return here.ask("b").text


@pytest.mark.parametrize("row", params(ROWS))
def test_cut(here: Ground, whole: str, row: Row, record_property: Callable[[str, object], None]) -> None:
    spoken = whole.replace("e", "\u00e9").replace("o", "\u4e16") if "utf8" in row.script.values() else whole
    answer = check(here, row, spoken, record_property)
    if row.ends != "cut":
        return
    _, (attempt,) = here.recorded(answer.ident)
    assert {"estimated", "maybe_billed"} <= flags_of(attempt)
    assert output_of(attempt) > 0
    if answer.tools:
        assert all(not arguments.endswith("}") for arguments in answer.tools.values())


def test_nothing_is_left_open(here: Ground) -> None:
    here.served.wait_for(here.is_quiet)
