"""What a request's head looks like, and which are refused."""

import pytest

from tidegate.providers.direct_request import request_head, target


def head(url: str, headers: dict[str, str] | None = None, body_bytes: int | None = 0) -> bytes:
    return request_head(b"POST", target(url), headers or {}, body_bytes)


def test_a_head_is_one_line_per_field() -> None:
    raw = head("https://api.example.com/v1/chat?a=b", {"Authorization": "Bearer k", "x-n": "ü"}, 12)
    assert raw == (
        b"POST /v1/chat?a=b HTTP/1.1\r\n"
        b"host: api.example.com\r\n"
        b"accept-encoding: identity\r\n"
        b"Authorization: Bearer k\r\n"
        b"x-n: \xc3\xbc\r\n"
        b"content-length: 12\r\n"
        b"\r\n"
    )


def test_without_a_body_there_is_no_length() -> None:
    assert b"content-length" not in head("http://h/", body_bytes=None)


@pytest.mark.parametrize(
    "name",
    [
        "Accept-Encoding",
        "CONTENT-LENGTH",
        "host",
        "Transfer-Encoding",
        "connection",
        "Expect",
        "upgrade",
        "te",
    ],
)
def test_framing_and_hop_by_hop_fields_are_ours(name: str) -> None:
    # case 14
    assert head("http://h/", {name: "chunked"}) == head("http://h/")


@pytest.mark.parametrize(
    "value", ["a\r\nb: c", "a\rb", "a\nb", "a\0b", "\r\n", "a\r\n\r\nGET / HTTP/1.1", "\udc80"]
)
def test_a_value_that_would_break_the_head_is_refused(value: str) -> None:
    # case 14
    with pytest.raises(ValueError):
        head("http://h/", {"a": "b", "x": value, "c": "d"})


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ü", "a\0", " a", "a "])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        head("http://h/", {name: "b"})


ORIGINS = [
    ("http://example.com", (False, "example.com", 80), b" / HTTP/1.1\r\nhost: example.com\r\n"),
    (
        "https://example.com:8443/a",
        (True, "example.com", 8443),
        b" /a HTTP/1.1\r\nhost: example.com:8443\r\n",
    ),
    ("http://[::1]:8080/x?q=1#f", (False, "::1", 8080), b" /x?q=1 HTTP/1.1\r\nhost: [::1]:8080\r\n"),
    (
        "http://EXAMPLE.com:80/%2F%20",
        (False, "example.com", 80),
        b" /%2F%20 HTTP/1.1\r\nhost: example.com\r\n",
    ),
    (
        "http://bücher.de/ü x",
        (False, "xn--bcher-kva.de", 80),
        b" /%C3%BC%20x HTTP/1.1\r\nhost: xn--bcher-kva.de",
    ),
]


@pytest.mark.parametrize(("url", "origin", "line"), ORIGINS, ids=[row[0] for row in ORIGINS])
def test_a_url_is_taken_apart(url: str, origin: tuple[bool, str, int], line: bytes) -> None:
    to = target(url)
    assert to.origin == origin
    assert to.line.startswith(line)


@pytest.mark.parametrize(
    "url",
    [
        *("http://", "ftp://h/", "h:1/x", "http://[::1/", "", "/x", "//h/x", "http://u:p@h/", "http://u@h/"),
        *("http://h:99999/", "http://h:0x1/", "ws://h/", "http://a b/"),
    ],
)
def test_an_address_that_is_none_is_refused_without_naming_it(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        target(url)
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize("sneaked", ["\r\n", "\n", "\r", "\0", " HTTP/1.1\r\nx: y", "\t"])
def test_nothing_in_a_path_breaks_the_head(sneaked: str) -> None:
    raw = head(f"http://h/a{sneaked}b?c={sneaked}d")
    assert raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n") == 5
    assert len(raw.split(b"\r\n")[0].split(b" ")) == 3
