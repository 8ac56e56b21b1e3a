"""Scanning a text that comes in pieces, with the same result as if it had come whole."""

from collections.abc import Collection
from dataclasses import dataclass

from tidegate.policy.guard import Finding, new_digest, placeholder
from tidegate.policy.guard_fold import View, fold
from tidegate.policy.guard_sight import LOOK_BACK, Detector, Match, Sight

_LEFT_OUT = str.maketrans("", "", " ()/-\t\r\n")


class _Digest:
    """A keyed digest of a value in pieces; how it is grouped does not matter."""

    def __init__(self, key: bytes) -> None:
        self._hash = new_digest(key)

    def take(self, read: str) -> None:
        self._hash.update(read.translate(_LEFT_OUT).encode("utf-8", "replace"))

    def hex(self) -> str:
        return self._hash.hexdigest()


@dataclass(frozen=True, slots=True)
class Passed:
    """What a scanner lets through: text that is safe to pass on, and what was found up to there."""

    text: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Growing:
    """A match that has begun and whose end is not known yet."""

    match: Match
    start: int
    digest: _Digest


class StreamScanner:
    """Look at a text in pieces. Places in findings count characters of the whole text from its beginning.

    Where kinds are `redacted`, text is held back while a match could still begin in it: a word, a number, a
    few hundred characters at most; hidden characters come on top. Where none are, every piece passes at once.
    """

    def __init__(self, detect: Detector, *, digest_key: bytes, redacted: Collection[str] = ()) -> None:
        self._detect = detect
        self._digest_key = digest_key
        self._redacted = frozenset(redacted)
        self._pending = ""
        self._before = ""
        self._position = 0
        self._in_gap = False
        self._growing: _Growing | None = None

    @property
    def held(self) -> int:
        """How many characters wait for more of the text."""
        return len(self._pending)

    def feed(self, piece: str) -> Passed:
        """Take the next piece of the text."""
        return self._turn(piece, final=False)

    def close(self, piece: str = "") -> Passed:
        """Take the last piece of the text."""
        return self._turn(piece, final=True)

    def _turn(self, piece: str, *, final: bool) -> Passed:
        self._pending += piece
        texts: list[str] = []
        findings: list[Finding] = []
        if self._growing is None or self._grown(self._growing, texts, findings, final=final):
            self._scan(texts, findings, final=final)
        return Passed("".join(texts) if self._redacted else piece, tuple(findings))

    def _grown(self, growing: _Growing, texts: list[str], findings: list[Finding], *, final: bool) -> bool:
        """Let the match that has begun go on; True once it has ended."""
        view = fold(self._pending, final=final, in_gap=self._in_gap)
        assert growing.match.grow is not None
        end, ended = growing.match.grow(view.text, 0, final)
        growing.digest.take(view.text[:end])
        raw_end = view.end(end)
        if growing.match.rule.kind not in self._redacted:
            texts.append(self._pending[:raw_end])
        if ended:
            findings.append(
                self._finding(growing.match, growing.start, self._position + raw_end, growing.digest)
            )
            self._growing = None
        self._drop(view, end, raw_end)
        return ended

    def _scan(self, texts: list[str], findings: list[Finding], *, final: bool) -> None:
        view = fold(self._pending, final=final, in_gap=self._in_gap)
        offset = len(self._before)
        sight = Sight(self._before + view.text, offset, final=final)
        self._detect(sight)
        at = raw_at = 0
        for match in sight.matches():
            raw_start, raw_end = view.start(match.start - offset), view.end(match.end - offset)
            at = match.end - offset
            texts += (self._pending[raw_at:raw_start], self._shown(match, raw_start, raw_end))
            raw_at = raw_end
            digest = _Digest(self._digest_key)
            digest.take(sight.text[match.start : match.end])
            if match.ended:
                position = self._position
                findings.append(self._finding(match, position + raw_start, position + raw_end, digest))
            else:
                self._growing = _Growing(match, self._position + raw_start, digest)
        if self._growing is None and (sight.decided - offset > at or final):
            at = sight.decided - offset
            raw_end = len(self._pending) if final else view.start(at)
            texts.append(self._pending[raw_at:raw_end])
            raw_at = raw_end
        self._drop(view, at, raw_at)

    def _shown(self, match: Match, start: int, end: int) -> str:
        if match.rule.kind in self._redacted:
            return placeholder(match.rule.kind)
        return self._pending[start:end]

    def _finding(self, match: Match, start: int, end: int, digest: _Digest) -> Finding:
        rule = match.rule
        return Finding(
            rule.kind, rule.name, start, end, rule.severity, digest.hex(), (("characters", end - start),)
        )

    def _drop(self, view: View, at: int, raw_at: int) -> None:
        """Forget what is decided, but for as much as detectors look back at."""
        self._in_gap = view.in_gap and raw_at == view.read
        self._before = (self._before + view.text[:at])[-LOOK_BACK:]
        self._pending = self._pending[raw_at:]
        self._position += raw_at


def scan(text: str, detect: Detector, *, digest_key: bytes) -> tuple[Finding, ...]:
    """What a detector finds in a whole text."""
    return StreamScanner(detect, digest_key=digest_key).close(text).findings
