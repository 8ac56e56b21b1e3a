"""Links and marks: what stands for one thing exactly, such as `https://example.org/a` or `INV-4712`."""

import re

_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'`)\]}|\\]{1,2000}"
    r"|(?<![\w@.-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,5}(?:com|org|net|edu|gov|io|dev|app|eu|de|fr|es|it|nl|pl|at|be|uk|ch)"
    r"(?![\w-]|\.\w)(?:/[^\s<>\"'`)\]}|\\]{0,2000})?",
    re.IGNORECASE,
)
_MARK = re.compile(
    r"(?<![A-Za-z0-9@/._-])(?=[A-Za-z0-9-]{0,40}\d)(?=[A-Za-z0-9-]{0,40}[A-Za-z])[A-Za-z0-9][A-Za-z0-9-]{1,40}"
    r"(?<!-)(?![\w@])"
)
_SUFFIXED = re.compile(
    r"(?:\d+(?:st|nd|rd|th|s|er|ers|ern|ten|te|ter|fach\w*|j\u00e4hrig\w*|k|m|km|cm|mm|kg|mg|g|h|am|pm|x|\u00ba|\u00aa)"
    r"|\d+-[^\W\d_]+|[^\W\d_]{3,}-\d+)\Z",
    re.IGNORECASE,
)


def links(text: str) -> list[tuple[int, int, str]]:
    """Links with their places, written in one way."""
    found = []
    for match in _LINK.finditer(text):
        written = match[0].rstrip(".,;:!?*_")
        found.append((match.start(), match.start() + len(written), plain_link(written)))
    return found


def plain_link(written: str) -> str:
    """A link without what does not change where it leads: scheme, `www.`, case of the host, a last slash."""
    rest = re.sub(r"\A(?:https?://)?(?:www\.)?", "", written, flags=re.IGNORECASE)
    host, slash, path = rest.partition("/")
    return (host.lower() + slash + path).rstrip("/#?")


def marks(text: str) -> list[tuple[int, int, str]]:
    """Words of letters and digits together (`A4`, `PDP11`, `INV-4712`) with their places, without case."""
    return [
        (*match.span(), match[0].casefold().replace("-", ""))
        for match in _MARK.finditer(text)
        if not _SUFFIXED.match(match[0])
    ]
