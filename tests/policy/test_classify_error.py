from typing import get_args

import pytest

from tidegate.model.provider import ErrorClass, ErrorRule
from tidegate.model.reply import ErrorFacts
from tidegate.policy.classify_error import classify, should_retry, status_of

ROWS: list[tuple[int, ErrorFacts, bool, ErrorClass, bool]] = [
    (429, ErrorFacts(type="rate_limit_error"), True, "rate", True),
    (429, ErrorFacts(type="insufficient_quota", code="insufficient_quota"), False, "money", False),
    (429, ErrorFacts(code="enforced_spend_limit_reached"), False, "money", False),
    (402, ErrorFacts(), False, "money", False),
    (401, ErrorFacts(), False, "key", False),
    (403, ErrorFacts(), False, "forbidden", False),
    (404, ErrorFacts(code="model_not_found"), False, "model", False),
    (400, ErrorFacts(message="Prompt is too long: 210000 tokens"), False, "context", False),
    (400, ErrorFacts(code="exceed_context_size_error"), False, "context", False),
    (400, ErrorFacts(code="content_filter"), False, "filter", False),
    (400, ErrorFacts(code="invalid_request"), False, "bad", False),
    (422, ErrorFacts(), False, "bad", False),
    (500, ErrorFacts(), False, "upstream", True),
    (503, ErrorFacts(), False, "overload", True),
    (529, ErrorFacts(type="overloaded_error"), False, "overload", True),
    (200, ErrorFacts(code="429"), False, "rate", False),
    (200, ErrorFacts(code="402"), False, "money", False),
    (200, ErrorFacts(code="server_error"), False, "upstream", False),
]


@pytest.mark.parametrize(("status", "error", "has_retry_after", "kind", "again"), ROWS)
def test_errors_are_told_by_what_they_say(  # trap M17
    status: int, error: ErrorFacts, kind: ErrorClass, *, has_retry_after: bool, again: bool
) -> None:
    got = classify((), status=status, error=error, has_retry_after=has_retry_after)
    assert got == kind
    assert should_retry(got, status) is again


def test_a_providers_own_row_decides_first() -> None:
    rows = (
        ErrorRule(is_="rate", status=402, retry_after=True),
        ErrorRule(is_="money", status=402, retry_after=False),
        ErrorRule(is_="model", status=422, message="unknown model"),
    )
    assert classify(rows, status=402, error=ErrorFacts(), has_retry_after=True) == "rate"
    assert classify(rows, status=402, error=ErrorFacts(), has_retry_after=False) == "money"
    wrong = ErrorFacts(message="Unknown model: x")
    assert classify(rows, status=422, error=wrong, has_retry_after=False) == "model"


@pytest.mark.parametrize("kind", get_args(ErrorClass))
def test_the_status_of_a_kind_is_of_that_kind(kind: ErrorClass) -> None:  # trap S12
    got = classify((), status=status_of(kind), error=ErrorFacts(), has_retry_after=False)
    assert got == ("bad" if kind in ("context", "filter") else kind)
