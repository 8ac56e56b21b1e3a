"""Which kind of failure a provider's error is: by status, code and headers, never by status alone (M17)."""

from collections.abc import Iterable

from tidegate.model.provider import ErrorClass, ErrorRule
from tidegate.model.reply import ErrorFacts

_BY_STATUS: dict[int, ErrorClass] = {
    401: "key",
    402: "money",
    403: "forbidden",
    404: "model",
    408: "overload",
    409: "overload",
    413: "context",
    429: "rate",
    498: "overload",
    503: "overload",
    529: "overload",
}
_MONEY_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "enforced_spend_limit_reached",
        "billing_error",
        "billing_hard_limit_reached",
    }
)
_CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
)
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})
_BY_CODE: tuple[tuple[frozenset[str], ErrorClass], ...] = (
    (_MONEY_CODES, "money"),
    (_CONTEXT_CODES, "context"),
    (_FILTER_CODES, "filter"),
)
_MONEY_PHRASES = (
    "available credits",
    "credit balance is too low",
    "spending limit",
    "billing is disabled",
    "insufficient credits",
    "insufficient balance",
)
_CONTEXT_PHRASES = (
    "maximum context length",
    "prompt is too long",
    "input is too long",
    "input too long",
    "exceeds the available context size",
    "exceeds the maximum number of tokens",
    "requested token count exceeds",
    "longer than the model's context length",
    "context limit",
    "too many tokens",
)


_TO_STATUS: dict[ErrorClass, int] = {
    "rate": 429,
    "overload": 503,
    "money": 402,
    "context": 400,
    "filter": 400,
    "key": 401,
    "forbidden": 403,
    "model": 404,
    "bad": 400,
    "upstream": 502,
}


def status_of(kind: ErrorClass) -> int:
    """The status that an error should have had which came with another, such as 200 (trap S12)."""
    return _TO_STATUS[kind]


def classify(
    rules: Iterable[ErrorRule], *, status: int, error: ErrorFacts, has_retry_after: bool
) -> ErrorClass:
    """The class of a provider's error. Its own row decides first, then codes all share, then the status.

    An error inside a 200 may have its status as its code, as OpenRouter's have.
    """
    if status < 400 and error.code.isdigit():
        status = int(error.code[:3])
    for rule in rules:
        if _fits(rule, status, error, has_retry_after=has_retry_after):
            return rule.is_
    for codes, kind in _BY_CODE:
        if error.code in codes or error.type in codes:
            return kind
    message = error.message.lower()
    if status in (400, 402, 403, 429) and any(phrase in message for phrase in _MONEY_PHRASES):
        return "money"
    if status in (400, 413, 422) and any(phrase in message for phrase in _CONTEXT_PHRASES):
        return "context"
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "bad" if 400 <= status < 500 else "upstream"


def _fits(rule: ErrorRule, status: int, error: ErrorFacts, *, has_retry_after: bool) -> bool:
    if rule.status is not None and rule.status != status:
        return False
    if rule.code and rule.code != error.code:
        return False
    if rule.type and rule.type != error.type:
        return False
    if rule.message and rule.message.lower() not in error.message.lower():
        return False
    return rule.retry_after is None or rule.retry_after == has_retry_after


def should_retry(kind: ErrorClass, status: int) -> bool:
    """True where the same call may succeed later: never for money, keys or bad requests (trap K1)."""
    return kind in ("rate", "overload", "upstream") and (status in (408, 409, 429) or status >= 500)
