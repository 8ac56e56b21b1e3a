import pytest

from tidegate.model.identity import Attribution, Key
from tidegate.policy.attribute import attribute, clean, header_values, parse_baggage, parse_tags

KEY = Key(
    id="k1",
    mac="",
    tenant="acme",
    team="core",
    pinned={"environment": "production"},
    defaults={"feature": "search", "customer": "nobody"},
)


def labels(key: Key = KEY, headers: dict[str, str] | None = None, **more: object) -> Attribution:
    arguments: dict[str, object] = {"metadata": {}, "automatic_feature": "auto-1a2b3c", **more}
    return attribute(key, headers=headers or {}, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "baggage", "metadata", "expected", "source"),
    [
        ({"feature": "a"}, "tidegate.feature=b", {"feature": "c"}, "a", "header"),
        ({}, "tidegate.feature=b", {"feature": "c"}, "b", "baggage"),
        ({}, "", {"feature": "c"}, "c", "body"),
        ({}, "", {}, "search", "default"),
        ({"feature": "  "}, "", {}, "search", "default"),
    ],
)
def test_the_nearest_voice_names_the_feature(
    headers: dict[str, str], baggage: str, metadata: dict[str, str], expected: str, source: str
) -> None:
    got = labels(headers=headers, baggage=baggage, metadata=metadata)
    assert (got.feature, got.feature_source) == (expected, source)


def test_pinned_values_win_over_the_caller() -> None:
    assert labels(headers={"environment": "test"}).environment == "production"


def test_a_call_that_says_nothing_is_still_attributed() -> None:
    got = labels(Key(id="k", mac="", tenant="t"))
    assert (got.feature, got.feature_source) == ("auto-1a2b3c", "fingerprint")


def test_the_key_names_the_team_unless_the_caller_does() -> None:
    assert labels().team == "core"
    assert labels(headers={"team": "web"}).team == "web"


def test_the_body_user_is_used_where_no_header_names_one() -> None:
    assert labels(metadata_user="u-1").user == "u-1"
    assert labels(headers={"user": "u-2"}, metadata_user="u-1").user == "u-2"


def test_labels_are_printable_and_bounded() -> None:  # case 39
    assert clean(" a\x1b[31m\u202eb\n") == "a[31mb"
    assert len(clean("x" * 1000)) == 128


def test_tags_are_capped_at_sixteen() -> None:  # case 40
    many = parse_tags(",".join(f"k{n}=v" for n in range(100)))
    assert len(many) == 16
    assert parse_tags("a=1, b = 2 ,c") == (("a", "1"), ("b", "2"), ("c", ""))


def test_baggage_members_of_others_are_left_alone() -> None:
    text = "userId=alice, tidegate.customer=M%C3%BCller;prop=1, tidegate.unknown=x, broken"
    assert parse_baggage(text) == {"customer": "Müller"}


def test_headers_are_read_as_utf8_or_latin1() -> None:
    named, tags, baggage = header_values(
        [
            (b"tidegate-customer", "Müller".encode()),
            (b"tidegate-user", "José".encode("latin-1")),
            (b"tidegate-session", b"Z%C3%BCrich 100%"),
            (b"tidegate-tags", b"a=1"),
            (b"tidegate-nonsense", b"x"),
            (b"baggage", b"tidegate.run=r"),
            (b"content-type", b"application/json"),
        ]
    )
    assert named == {"customer": "Müller", "user": "José", "session": "Zürich 100%"}
    assert (tags, baggage) == ("a=1", "tidegate.run=r")
