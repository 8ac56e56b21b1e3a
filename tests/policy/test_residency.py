"""Only a promise counts: what nobody promised never satisfies a policy that wants a region."""

import pytest

from tidegate.model.provider import Residency
from tidegate.policy.residency import satisfies

CASES: list[tuple[Residency, str, str, bool]] = [
    ("contractual", "eu", "eu", True),
    ("selectable", "eu", "eu", True),
    ("selectable", "us", "eu", False),
    ("selectable", "", "eu", False),
    ("unknown", "eu", "eu", False),
    ("none", "eu", "eu", False),
    ("unknown", "", "", True),
    ("none", "us", "", True),
]


@pytest.mark.parametrize(("residency", "jurisdiction", "wanted", "expected"), CASES)
def test_only_a_promise_counts(residency: Residency, jurisdiction: str, wanted: str, expected: bool) -> None:
    assert satisfies(residency, jurisdiction, wanted) is expected
