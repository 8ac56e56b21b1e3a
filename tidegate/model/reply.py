"""What a codec learns from a reply, plain or streamed, while its bytes pass by."""

from dataclasses import dataclass, field

import msgspec

from tidegate.model.usage import UsageReport


class ErrorFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A provider's error in its own words; `message` may be shown to the client, never logged."""

    type: str = ""
    code: str = ""
    message: str = ""
    param: str = ""


@dataclass(slots=True)
class ReplyFacts:
    """Filled by a codec as events arrive; a plain reply is the fold of the same steps.

    `started`: an event with content (text, reasoning, a tool call, a refusal) was seen.
    `complete`: the dialect's own end was seen; a stream that closes without it was truncated (trap S6).
    `empty`: a whole reply holds no answer and does not say why: `choices: []`, or an end mark alone.
    `error`: the reply carries an error although its status was 200 (trap S12), or is an error reply.
    `text_bytes` and `ascii_bytes` measure generated text, reasoning and tool arguments, for estimates.
    `bad_frames` counts events that were not JSON and were skipped (trap S5).
    """

    model: str = ""
    id: str = ""
    finish: str = ""
    service_tier: str = ""
    usage: UsageReport | None = None
    started: bool = False
    complete: bool = False
    empty: bool = False
    error: ErrorFacts | None = None
    text_bytes: int = 0
    ascii_bytes: int = 0
    tool_calls: int = 0
    bad_frames: int = 0
    notes: list[str] = field(default_factory=list)
