import msgspec

from tidegate.model.message import Image, Message, Text, Thinking, ToolResult, ToolUse
from tidegate.services.conversations import MAX_RESPONSE_BYTES, SECOND_US, Conversations, Remembered

TURNS = (
    Message(role="user", parts=(Text(text="the patient is called Smith"), Image(url="https://x/y.png"))),
    Message(
        role="assistant",
        parts=(Thinking(text="hm", signature="c2ln"), ToolUse(id="call_1", name="look", arguments='{"a": 1')),
    ),
    Message(role="user", parts=(ToolResult(id="call_1", parts=(Text(text="found"),)),)),
)
KEPT = Remembered(at_us=0, wallet="a:b", tokens=12, messages=TURNS)


def test_turns_come_back_as_they_were() -> None:  # trap K10
    known = Conversations()
    known.put("acme", "resp_1", KEPT)
    assert known.get("acme", "resp_1", now_us=1, keep_s=10) == KEPT


def test_no_tenant_goes_on_from_anothers_answer() -> None:
    known = Conversations()
    known.put("acme", "resp_1", KEPT)
    assert known.get("globex", "resp_1", now_us=1, keep_s=10) is None


def test_an_answer_is_forgotten_in_time() -> None:
    known = Conversations()
    known.put("acme", "resp_1", KEPT)
    assert known.get("acme", "resp_1", now_us=10 * SECOND_US, keep_s=10) is not None
    assert known.get("acme", "resp_1", now_us=10 * SECOND_US + 1, keep_s=10) is None
    assert len(known) == 0


def test_nothing_readable_stands_in_memory_and_too_much_is_not_kept() -> None:  # trap V4
    known = Conversations(max_responses=2)
    known.put("acme", "resp_1", KEPT)
    assert all(b"Smith" not in sealed for sealed in known._store._sealed.values())
    huge = (Message(role="user", parts=(Text(text="a" * MAX_RESPONSE_BYTES),)),)
    known.put("acme", "huge", msgspec.structs.replace(KEPT, messages=huge))
    assert known.get("acme", "huge", now_us=1, keep_s=10) is None
    for name in ("resp_2", "resp_3"):
        known.put("acme", name, KEPT)
    assert len(known) == 2
