"""Everything Tidegate raises on purpose: facts, which each dialect's codec renders for its client.

A message says what happened, with values, and what to do about it. It never holds a prompt, a key or
a provider's secret.
"""

from collections.abc import Mapping, Sequence

WAIT_WORTH_S = 60
"""A longer wait is not one that a client should sit through."""


class TidegateError(Exception):
    """Root of everything raised on purpose.

    `status` is the HTTP status a client gets. `code` is stable and machine-readable. `kind` is the OpenAI
    error type; Anthropic's follows from the status. `param` is the path of the field at fault, where one is.
    `retryable` becomes `x-should-retry` (trap K1). `retry_after_s` is set only where waiting helps. `headers`
    are further fields of the reply, such as the state of a limit. Where `tells`, clients are given the
    `facts`; else these are for logs and commands alone.
    """

    status = 500
    code = "internal_error"
    kind = "server_error"
    retryable = False
    tells = False
    headers: Sequence[tuple[bytes, bytes]] = ()

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        facts: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.facts = dict(facts or {})


class BadRequest(TidegateError):
    """The request cannot be understood or breaks its dialect's rules."""

    status = 400
    code = "invalid_request"
    kind = "invalid_request_error"


class MalformedJson(BadRequest):
    """The body is not one JSON object."""

    code = "invalid_json"


class DuplicateField(BadRequest):
    """One top-level field stands twice, so what we check and what we forward could differ."""

    code = "duplicate_field"


class WrongType(BadRequest):
    """A field has another type or range than its dialect allows."""

    code = "invalid_type"


class PreviousResponseNotFound(BadRequest):
    """The response that a request goes on from is not known here, or no longer."""

    code = "previous_response_not_found"


class UpgradeRefused(BadRequest):
    """The client wants another protocol on this connection, such as a WebSocket: nothing on it is metered."""

    code = "upgrade_refused"


class Unsupported(BadRequest):
    """The request asks for something this route or target cannot express; named by path."""

    code = "unsupported"


class Unauthenticated(TidegateError):
    """No usable key. `code` is one of invalid_api_key, expired_api_key, revoked_api_key."""

    status = 401
    kind = "authentication_error"
    code = "invalid_api_key"

    def __init__(self, message: str, *, code: str = "invalid_api_key") -> None:
        super().__init__(message)
        self.code = code


class PriceUnknown(TidegateError):
    """The model has no price and the policy refuses unpriced calls (trap M4)."""

    status = 402
    code = "price_unknown"
    kind = "billing_error"


class UsageUnknown(PriceUnknown):
    """What a passed-through call uses cannot be known, and the policy refuses such calls (trap M10)."""

    code = "usage_unknown"


class BudgetExceeded(TidegateError):
    """A hold would pass a limit."""

    status = 402
    code = "budget_exceeded"
    kind = "billing_error"
    tells = True


class Forbidden(TidegateError):
    """The key may not do this."""

    status = 403
    code = "forbidden"
    kind = "permission_error"


class ModelNotAllowed(Forbidden):
    """The key is limited to other models."""

    code = "model_not_allowed"


class AccountShared(Forbidden):
    """A provider keeps something for a whole account, which several tenants would share."""

    code = "account_shared"


class NotFound(TidegateError):
    """No such route or object."""

    status = 404
    code = "not_found"
    kind = "not_found_error"


class ModelNotFound(NotFound):
    """No alias, deployment or `provider/model` has this name; never a fuzzy match (trap K9)."""

    code = "model_not_found"


class MethodNotAllowed(TidegateError):
    """The route exists, the method does not."""

    status = 405
    code = "method_not_allowed"
    kind = "invalid_request_error"


class RequestTimeout(TidegateError):
    """The client did not send its request in time."""

    status = 408
    code = "request_timeout"
    kind = "invalid_request_error"
    retryable = True


class TooLarge(TidegateError):
    """The body passes the limit."""

    status = 413
    code = "request_too_large"
    kind = "request_too_large"


class UriTooLong(TidegateError):
    """Path and query pass the limit."""

    status = 414
    code = "uri_too_long"
    kind = "invalid_request_error"


class UnsupportedMediaType(TidegateError):
    """The body's type or encoding is not one we read."""

    status = 415
    code = "unsupported_media_type"
    kind = "invalid_request_error"


class RateLimited(TidegateError):
    """A limit on requests, tokens or log-in attempts; waiting helps."""

    status = 429
    code = "rate_limit_exceeded"
    kind = "rate_limit_error"
    retryable = True


class SpendPaused(RateLimited):
    """A key spends more in a minute than it may, or than is usual for it; its breaker is open."""

    code = "spend_paused"

    def __init__(self, message: str, *, wait_s: int | None) -> None:
        soon = wait_s is not None and wait_s <= WAIT_WORTH_S
        super().__init__(message, retry_after_s=wait_s if soon else None)
        self.retryable = soon


class HeadersTooLarge(TidegateError):
    """The request's head passes a limit of bytes or of headers."""

    status = 431
    code = "headers_too_large"
    kind = "invalid_request_error"


class ClientGone(TidegateError):
    """The client left before it was answered; nobody reads this reply, records do."""

    status = 499
    code = "client_gone"
    kind = "invalid_request_error"


class UnsupportedTransfer(TidegateError):
    """The body comes in a Transfer-Encoding that is not read here."""

    status = 501
    code = "unsupported_transfer_encoding"
    kind = "invalid_request_error"


class SpendsLater(TidegateError):
    """The call starts work that is billed after its reply, which no budget could hold for (trap M10)."""

    status = 501
    code = "spends_later"
    kind = "invalid_request_error"


class UpstreamError(TidegateError):
    """The provider failed in a way it did not put into words."""

    status = 502
    code = "upstream_error"
    retryable = True


class UpstreamUnreachable(UpstreamError):
    """No connection to the provider, or it was lost before a reply."""

    code = "upstream_unreachable"


class UpstreamTruncated(UpstreamError):
    """The provider's answer ended before its own end mark (trap S6)."""

    code = "upstream_truncated"


class Unavailable(TidegateError):
    """Tidegate itself cannot take the call now: no room in the journal, no snapshot, overload."""

    status = 503
    code = "unavailable"
    retryable = True


class UpstreamTimeout(TidegateError):
    """The provider did not answer within a limit."""

    status = 504
    code = "upstream_timeout"
    kind = "timeout_error"
    retryable = True


class ConfigError(TidegateError):
    """The configuration cannot be used; `param` is the key's path, `facts["line"]` its line where found."""

    code = "invalid_configuration"
