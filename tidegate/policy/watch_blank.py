"""White space and nothing else, for too long; characters that show nothing count as white space."""

from tidegate.policy.watch_rules import Found, WatchRules

BLANKS = (
    " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u2800\u3000\u3164\ufeff"
)


class Blank:
    """Follows the white space that a text ends in."""

    __slots__ = ("_lines", "_rules", "_run")

    def __init__(self, rules: WatchRules) -> None:
        self._rules = rules
        self._run = self._lines = 0

    def step(self, text: str, end: int) -> Found | None:
        """Take the next characters, which end at `end` of the channel."""
        size = len(text)
        lead = size - len(text.lstrip(BLANKS))
        if lead:
            run, lines = self._run + lead, self._lines + text.count("\n", 0, lead)
            if run >= self._rules.blank_chars or lines >= self._rules.blank_lines:
                return Found("blank", end - size - self._run, 1, run)
        if lead == size:
            self._run, self._lines = run, lines
        else:
            kept = len(text.rstrip(BLANKS))
            self._run, self._lines = size - kept, text.count("\n", kept)
        return None
