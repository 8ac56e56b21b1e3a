"""How a message about an alert reads."""

from collections.abc import Iterator
from datetime import UTC, datetime

from tidegate.model.alert import Message

_KINDS = {
    "started": "alert",
    "reminder": "still",
    "recovered": "recovered",
    "test": "test message",
}
MOST_SHOWN = 80


def plain(text: str, most: int = MOST_SHOWN) -> str:
    """A label or sentence as one short line that steers no terminal, mail or chat."""
    short = text if len(text) <= most else text[: most - 3] + "..."
    return "".join(char if char.isprintable() else "?" for char in short)


def moment(at_us: int) -> datetime:
    """A time of the records as a date, UTC."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)


def headline(message: Message) -> str:
    """What it is about, in one short line."""
    if message.kind == "test":
        return "test message"
    return f"{_KINDS[message.kind]}: {message.about.event.replace('_', ' ')}, {message.about.subject}"


def sentence(message: Message) -> str:
    """All of it in one line, as the log has it."""
    if message.kind == "recovered":
        return f"{headline(message)} (was: {message.about.text})"
    return f"{headline(message)}: {message.about.text}"


def details(message: Message) -> Iterator[str]:
    """Its facts, a line each."""
    about = message.about
    yield f"event: {about.event}"
    yield f"since: {moment(message.since_us).isoformat(' ')}"
    if message.kind == "recovered":
        yield f"over: {moment(message.at_us).isoformat(' ')}"
    if about.team:
        yield f"team: {about.team}"
    for name, value in about.facts.items():
        yield f"{name.replace('_', ' ')}: {value}"
