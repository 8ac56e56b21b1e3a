"""Thinking that must come back signed, as the `encrypted_content` of a reasoning item (trap S11).

A client of the Responses dialect gives the item back unread. The prefix says that the content is another
provider's, which the gateway put there; content without it is OpenAI's own and of no use to anybody else.
"""

from tidegate.model.message import RedactedThinking, Thinking

SIGNED = "tidegate.signed:"
REDACTED = "tidegate.redacted:"


def sealed(part: Thinking | RedactedThinking) -> str:
    """Return what a reasoning item carries of a part; empty for thinking that nobody signed."""
    if isinstance(part, RedactedThinking):
        return REDACTED + part.data
    return SIGNED + part.signature if part.signature else ""


def unsealed(content: str, text: str, at: str) -> Thinking | RedactedThinking | None:
    """Return the part that `sealed` made the content of, with the `text` shown; None for other content."""
    if content.startswith(REDACTED):
        return RedactedThinking(data=content.removeprefix(REDACTED), at=at)
    if content.startswith(SIGNED) and content != SIGNED:
        return Thinking(text=text, signature=content.removeprefix(SIGNED), at=at)
    return None
