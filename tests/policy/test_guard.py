import json
from collections.abc import Sequence
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.errors import ConfigError
from tidegate.policy.guard import (
    Finding,
    GuardContext,
    Severity,
    findings_of,
    guard_named,
    placeholder,
    redact,
)
from tidegate.policy.guard_patterns import KINDS, patterns, patterns_guard
from tidegate.policy.guard_stream import StreamScanner, scan

KEY = b"k" * 32
CONTEXT = GuardContext(KEY)
EMAIL, CARD = "anna@firma.de", "4111 1111 1111 1111"
TEXT = f"Write to {EMAIL}, pay with {CARD}."


def shout(text: str, context: GuardContext) -> Sequence[Finding]:
    """A guard of somebody else's: capitals throughout."""
    return [Finding("shout", "shout", 0, len(text), Severity.LOW, "")] if text.isupper() else []


def beside_itself(text: str, context: GuardContext) -> Sequence[Finding]:
    return [Finding("odd", "odd", 0, len(text) + 1, Severity.LOW, "")]


def test_only_the_kinds_asked_for_are_redacted() -> None:
    found = findings_of(patterns_guard(), TEXT, CONTEXT)
    assert redact(TEXT, found, {"email"}) == f"Write to [email], pay with {CARD}."
    assert redact(TEXT, found, KINDS) == "Write to [email], pay with [card]."
    assert redact(TEXT, found, ()) == TEXT


def test_findings_that_overlap_leave_nothing_of_the_longer_one() -> None:
    found = [Finding("a", "a", 2, 6, Severity.LOW, ""), Finding("b", "b", 4, 9, Severity.LOW, "")]
    assert redact("0123456789", found, {"a", "b"}) == "01[a]9"


def test_a_finding_holds_no_text() -> None:  # case 41
    secret = "sk-proj-A1b2C3d4E5f6G7h8I9j0"
    for one in findings_of(patterns_guard(), f"my key is {secret} and {TEXT}", CONTEXT):
        held = repr([getattr(one, field.name) for field in fields(one)])
        assert not any(part in held for part in (secret, secret[8:], EMAIL, CARD))


def test_equal_values_have_equal_digests_of_one_tenant_alone() -> None:
    detect = patterns()
    one, grouped = (scan(text, detect, digest_key=KEY)[0].digest for text in (CARD, CARD.replace(" ", "-")))
    assert one == grouped
    assert one != scan(CARD, detect, digest_key=b"o" * 32)[0].digest
    assert one != scan("5555 5555 5555 4444", detect, digest_key=KEY)[0].digest


@given(
    st.lists(
        st.sampled_from([EMAIL, CARD, '"', "\\", "\n", "\u00e9", " ", "sk-A1b2C3d4E5f6G7h8I9", "x"]),
        max_size=12,
    )
)
def test_redaction_keeps_a_document_in_json_valid(parts: list[str]) -> None:
    document = json.dumps({"said": "".join(parts), "n": 1})
    found = scan(document, patterns(), digest_key=KEY)
    assert set(json.loads(redact(document, found, KINDS))) == {"said", "n"}


def test_a_bare_number_in_json_is_why_arguments_of_tools_are_not_redacted() -> None:
    arguments = '{"pay": 4111111111111111}'
    redacted = redact(arguments, scan(arguments, patterns(), digest_key=KEY), {"card"})
    with pytest.raises(json.JSONDecodeError):
        json.loads(redacted)


def test_placeholders_need_no_escape_in_json() -> None:
    assert all(
        json.dumps(placeholder(kind)) == f'"{placeholder(kind)}"' for kind in (*KINDS, "stop", "ungrounded")
    )


def test_a_guard_of_ones_own_is_found_by_its_dotted_name() -> None:
    guard = guard_named("tests.policy.test_guard.shout")
    assert [one.kind for one in findings_of(guard, "HELP", CONTEXT)] == ["shout"]


@pytest.mark.parametrize(
    "name", ["shout", "tests.policy.test_guard.nobody", "no_such_module.guard", "json.decoder.NaN"]
)
def test_a_name_that_leads_to_no_guard_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name.rpartition(".")[2]):
        guard_named(name)


def test_a_finding_outside_of_the_text_is_the_guards_fault() -> None:
    with pytest.raises(ValueError, match="odd lies at 0:5 of a text of 4 characters"):
        findings_of(beside_itself, "HELP", CONTEXT)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="'e-mail'"):
        patterns({"e-mail"})


def test_a_scanner_of_one_kind_leaves_the_others() -> None:
    passed = StreamScanner(patterns({"email"}), digest_key=KEY, redacted={"email"}).close(TEXT)
    assert [one.kind for one in passed.findings] == ["email"]
    assert passed.text == f"Write to [email], pay with {CARD}."
