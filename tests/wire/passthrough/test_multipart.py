import pytest

from tidegate.model.errors import BadRequest
from tidegate.wire.passthrough.multipart import MAX_PARTS, Form, boundary_of, read_form


def part(name: str, value: bytes = b"x", more: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value


def form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + one + b"\r\n" for one in parts) + b"--b--\r\n"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', "a b"),
        ("multipart/form-data", ""),
        ("application/json; boundary=abc", ""),
        ("multipart/mixed; boundary=abc", ""),
    ],
)
def test_a_boundary_is_found_in_its_case(content_type: str, expected: str) -> None:
    assert boundary_of(content_type) == expected


def test_fields_and_files_are_told_apart() -> None:
    raw = form(
        part("model", b"m-1"),
        part("file", b"\r\n--bx\r\n" * 9, '; filename="a.wav"\r\nContent-Type: audio/wav'),
        part("include[]", b"a"),
        part("include[]", b"b"),
    )
    found = read_form(raw, "b")
    assert (found.fields["model"], found.fields["include[]"]) == (b"m-1", b"b")


def test_a_file_is_counted() -> None:
    raw = form(part("model", b"m"), part("file", b"0" * 1000, '; filename="a"'))
    assert read_form(raw, "b") == Form({"model": b"m"}, 1000, is_plain=True)


def test_a_field_that_stands_twice_is_refused() -> None:  # case 25
    with pytest.raises(BadRequest, match="twice"):
        read_form(form(part("model", b"a"), part("model", b"b")), "b")


NOT_PLAIN = [
    b"",
    b"preamble\r\n" + form(part("model")),
    form(part("model"))[:-6],
    form(part("model")) + b"epilogue",
    form(b"Content-Disposition: form-data; name=model\r\n\r\nx"),
    form(b'Content-Disposition: form-data; name="a\\"b"\r\n\r\nx'),
    form(b'Content-Disposition: form-data; name="a"; name="model"\r\n\r\nx'),
    form(part("a", more='\r\nContent-Disposition: form-data; name="model"')),
    form(b'Content-Disposition: form-data;\r\n name="model"\r\n\r\nx'),
    form(b'Content-Disposition: form-data; name="model"\n\nx'),
    form(b"no blank line"),
    form(part("model")).replace(b"--b\r\n", b"--b \r\n", 1),
]


@pytest.mark.parametrize("raw", NOT_PLAIN)
def test_what_two_readers_could_read_differently_is_not_plain(raw: bytes) -> None:
    assert not read_form(raw, "b").is_plain


def test_parts_are_bounded() -> None:  # case 23
    assert read_form(form(*(part(f"p{n}") for n in range(MAX_PARTS))), "b").is_plain
    with pytest.raises(BadRequest, match="parts"):
        read_form(form(*(part(f"p{n}") for n in range(MAX_PARTS + 1))), "b")
