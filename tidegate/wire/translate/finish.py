"""Why a model stopped, in each dialect's words."""

from collections.abc import Mapping

from tidegate.model.event import Finish

FROM_CHAT: Mapping[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "filter",
    "max_tokens": "length",
    "model_length": "context",
    "tool_use": "tool",
    "refusal": "refusal",
}
"""OpenAI's words, and some that providers of its dialect let slip; any other is a plain stop."""

TO_CHAT: Mapping[Finish, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context": "length",
    "pause": "length",  # not whole, and must not look it (trap S6)
    "tool": "tool_calls",
    "filter": "content_filter",
    "refusal": "content_filter",
}

FROM_MESSAGES: Mapping[str, Finish] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context",
}

TO_MESSAGES: Mapping[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "context": "model_context_window_exceeded",
    "pause": "pause_turn",
    "tool": "tool_use",
    "filter": "refusal",
    "refusal": "refusal",
}

TO_RESPONSES: Mapping[Finish, str] = {
    "stop": "",
    "stop_sequence": "",
    "tool": "",
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "pause": "max_output_tokens",  # not whole, and must not look it (trap S6)
    "filter": "content_filter",
    "refusal": "content_filter",
}
"""Why a response is incomplete; empty where it is whole."""
