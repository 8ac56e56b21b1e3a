"""How providers word their refusals: one row per kind of fault and provider (November 2026).

`{model}`, `{asked}`, `{window}` and `{field}` are filled in. A provider without a row of its own for a fault
words it as OpenAI does, in its own shape.
"""

import os
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from tidegate.upstream.script import Wording

HTML = (
    "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1>"
    "</center>\r\n<hr><center>scripted</center>\r\n</body>\r\n</html>\r\n"
)
GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
REQUEST = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider's error. `more` stands in the error object beside the usual fields."""

    status: int
    message: str
    type: str = REQUEST
    code: str | None = None
    param: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


_OPENAI = {
    "rate": Refusal(
        429,
        "Rate limit reached for {model} on requests per min (RPM): Limit 500, Used 500, Requested 1.",
        "requests",
        "rate_limit_exceeded",
    ),
    "overload": Refusal(
        503,
        "The engine is currently overloaded, please try again later.",
        "service_unavailable_error",
        "server_is_overloaded",
    ),
    "server": Refusal(500, "The server had an error while processing your request.", "server_error"),
    "timeout": Refusal(504, "The request timed out.", "timeout", "request_timeout"),
    "money_429": Refusal(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "money_402": Refusal(402, "Insufficient Balance", "unknown_error", REQUEST),
    "money_400": Refusal(400, "Billing hard limit has been reached", REQUEST, "billing_hard_limit_reached"),
    "money_403": Refusal(
        403,
        "Your team has used all available credits or reached its monthly spending limit.",
        "permission_error",
        "permission_denied",
    ),
    "money_in_flight": Refusal(
        402, "Requests in flight have reserved the remaining credits.", "billing_error"
    ),
    "context": Refusal(
        400,
        "This model's maximum context length is {window} tokens. However, your messages resulted in {asked}"
        " tokens. Please reduce the length of the messages.",
        REQUEST,
        "context_length_exceeded",
        "messages",
    ),
    "filter": Refusal(
        400, "Your request was rejected by our safety system.", REQUEST, "content_policy_violation"
    ),
    "key": Refusal(401, "Incorrect API key provided: sk-****ipt.", REQUEST, "invalid_api_key"),
    "forbidden": Refusal(
        403,
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    "model": Refusal(
        404,
        "The model `{model}` does not exist or you do not have access to it.",
        REQUEST,
        "model_not_found",
        "model",
    ),
    "bad": Refusal(400, "Invalid value for 'temperature': must be at most 2.", REQUEST, None, "temperature"),
    "too_large": Refusal(413, "The request body is too large.", REQUEST, "request_too_large"),
    "prefill": Refusal(
        400, "The last message must not be from the assistant.", REQUEST, "invalid_value", "messages"
    ),
    "field": Refusal(
        400,
        "Unsupported parameter: '{field}' is not supported with this model.",
        REQUEST,
        "unsupported_parameter",
        "{field}",
    ),
}
_ANTHROPIC = {
    "rate": Refusal(
        429,
        "This request would exceed your organization's rate limit of 50 requests per minute.",
        "rate_limit_error",
    ),
    "overload": Refusal(529, "Overloaded", "overloaded_error"),
    "server": Refusal(500, "Internal server error", "api_error"),
    "timeout": Refusal(504, "The request timed out.", "timeout_error"),
    "money_429": Refusal(
        429,
        "This organization has reached its enforced spend limit.",
        "rate_limit_error",
        more={"details": {"error_code": "enforced_spend_limit_reached"}},
    ),
    "money_402": Refusal(402, "There is an issue with your billing or payment information.", "billing_error"),
    "money_400": Refusal(
        400,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade"
        " or purchase credits.",
    ),
    "money_403": Refusal(403, "This organization's billing is disabled.", "permission_error"),
    "money_in_flight": Refusal(
        402, "Requests in flight have reserved the remaining credits.", "billing_error"
    ),
    "context": Refusal(400, "prompt is too long: {asked} tokens > {window} maximum"),
    "filter": Refusal(400, "Output blocked by content filtering policy"),
    "key": Refusal(401, "invalid x-api-key", "authentication_error"),
    "forbidden": Refusal(403, "Request not allowed", "permission_error"),
    "model": Refusal(404, "model: {model}", "not_found_error"),
    "bad": Refusal(400, "temperature: Input should be less than or equal to 1"),
    "too_large": Refusal(413, "Request exceeds the maximum size", "request_too_large"),
    "prefill": Refusal(
        400,
        "This model does not support assistant message prefill. The conversation must end with a user"
        " message.",
    ),
    "field": Refusal(400, "{field}: Extra inputs are not permitted"),
}
_ROWS: dict[Wording, dict[str, Refusal]] = {
    "openai": {},
    "anthropic": _ANTHROPIC,
    "azure": {
        "rate": Refusal(429, "Rate limit is exceeded. Try again in 2 seconds.", "", "429"),
        "overload": Refusal(429, "System is experiencing high demand. Please retry later.", "", "429"),
        "filter": Refusal(
            400,
            "The response was filtered since the prompt triggered Azure OpenAI's content management policy.",
            "",
            "content_filter",
            "prompt",
            {
                "innererror": {
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
                }
            },
        ),
        "key": Refusal(
            401, "Access denied due to invalid subscription key or wrong API endpoint.", "", "401"
        ),
        "model": Refusal(
            404, "The API deployment for this resource does not exist.", "", "DeploymentNotFound"
        ),
    },
    "google": {
        "rate": Refusal(429, "You exceeded your current quota, please check your plan and billing details."),
        "overload": Refusal(503, "The model is overloaded. Please try again later."),
        "server": Refusal(500, "An internal error has occurred."),
        "money_402": Refusal(402, "Your prepayment credits are depleted."),
        "money_429": Refusal(429, "Your prepayment credits are depleted."),
        "context": Refusal(
            400, "The input token count ({asked}) exceeds the maximum number of tokens allowed ({window})."
        ),
        "key": Refusal(
            400,
            "API key not valid. Please pass a valid API key.",
            more={
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
                ]
            },
        ),
        "model": Refusal(404, "models/{model} is not found for API version v1main."),
    },
    "openrouter": {
        "rate": Refusal(429, "Provider returned error", more={"metadata": {"provider_name": "Scripted"}}),
        "overload": Refusal(503, "No instances available", more={"metadata": {"provider_name": "Scripted"}}),
        "money_402": Refusal(402, "Insufficient credits.", more={"metadata": {"limit_source": "credits"}}),
        "money_in_flight": Refusal(
            402,
            "Credits are reserved by requests in flight.",
            more={"metadata": {"limit_source": "in_flight"}},
        ),
        "context": Refusal(
            400,
            "This endpoint's maximum context length is {window} tokens. You asked for about {asked}.",
            more={"metadata": {"error_type": "context_length_exceeded"}},
        ),
        "filter": Refusal(
            403,
            "Input was flagged by moderation.",
            more={"metadata": {"error_type": "content_policy_violation"}},
        ),
    },
    "mistral": {
        "rate": Refusal(429, "Requests rate limit exceeded", "rate_limited", "1300"),
        "overload": Refusal(
            429, "Service tier capacity exceeded for this model.", "service_tier_capacity_exceeded", "3505"
        ),
        "model": Refusal(400, "Invalid model: {model}", "invalid_model", "1500"),
        "prefill": Refusal(
            400, "Expected last role User or Tool for serving but got assistant", REQUEST, "3230"
        ),
    },
    "vllm": {
        "context": Refusal(
            400,
            "This model's maximum context length is {window} tokens. However, you requested {asked} tokens."
            " Please reduce the length of the messages or completion.",
            "BadRequestError",
        ),
        "model": Refusal(404, "The model `{model}` does not exist.", "NotFoundError"),
    },
    "llamacpp": {
        "overload": Refusal(503, "Loading model", "unavailable_error"),
        "context": Refusal(
            400,
            "the request exceeds the available context size, try increasing it",
            "exceed_context_size_error",
            more={"n_prompt_tokens": "{asked}", "n_ctx": "{window}"},
        ),
    },
}


def refusal(words: Wording, fault: str, facts: dict[str, Any]) -> Refusal:
    """Return a fault in a provider's words; `facts` has model, asked, window and field."""
    found = _ROWS[words].get("money_429" if fault == "money_200" else fault)
    if found is None:
        found = _OPENAI["money_429" if fault == "money_200" else fault]
    more = {
        name: facts[value[1:-1]] if value in ("{asked}", "{window}") else value
        for name, value in found.more.items()
    }
    return replace(
        found,
        status=200 if fault == "money_200" else found.status,
        message=found.message.format_map(facts),
        param=found.param and found.param.format_map(facts),
        more=more,
    )


def error_object(words: Wording, said: Refusal, change: dict[str, Any]) -> dict[str, Any]:
    """Return the error object in a provider's own fields, `change` merged into it."""
    match words:
        case "anthropic":
            fields: dict[str, Any] = {"type": said.type, "message": said.message}
        case "google":
            status = GOOGLE_STATUS.get(said.status, "INTERNAL")
            fields = {"code": said.status, "message": said.message, "status": status}
        case "openrouter":
            fields = {"code": said.status, "message": said.message}
        case "llamacpp":
            fields = {"code": said.status, "message": said.message, "type": said.type}
        case "vllm":
            fields = {"message": said.message, "type": said.type, "param": said.param, "code": said.status}
        case "azure":
            fields = {"code": said.code, "message": said.message}
            if said.param or said.more:
                fields |= {"param": said.param, "type": None, "status": said.status}
        case _:
            fields = {"message": said.message, "type": said.type, "param": said.param, "code": said.code}
    return {**fields, **said.more, **change}


def error_body(words: Wording, said: Refusal, change: dict[str, Any]) -> bytes:
    """Return the body of an error reply in a provider's own shape."""
    fields = error_object(words, said, change)
    match words:
        case "anthropic":
            body: Any = {"type": "error", "error": fields, "request_id": f"req_{os.urandom(12).hex()}"}
        case "google":
            body = [{"error": fields}]
        case "mistral":
            body = {"object": "error", **fields}
        case _:
            body = {"error": fields}
    return msgspec.json.encode(body)


def retry_info(delay: str | float) -> dict[str, Any]:
    """Return Google's advice when to try again; a number is of seconds."""
    stated = delay if isinstance(delay, str) else f"{delay}s"
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": stated}
