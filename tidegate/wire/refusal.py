"""The headers of an answer that is ours: what every dialect's SDK reads of an error."""

from tidegate.model.errors import TidegateError

Headers = list[tuple[bytes, bytes]]


def refusal_headers(error: TidegateError, request_id: str) -> Headers:
    """Headers of an error reply but its length. `x-should-retry` always (trap K1); an id for each SDK."""
    ident = request_id.encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"x-should-retry", b"true" if error.retryable else b"false"),
        (b"tidegate-error-source", b"tidegate"),
        (b"tidegate-request-id", ident),
        (b"x-request-id", ident),
        (b"request-id", ident),
    ]
    headers.extend(error.headers)
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    return headers
