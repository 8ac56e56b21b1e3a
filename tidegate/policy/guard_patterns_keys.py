"""Keys and other secrets by how their makers begin them, or by the word that they are assigned to.

The beginnings are those that `config/secret.py` knows, and more. A key counts from the first characters after
its beginning: random ones have digits and many different letters, made-up ones (`sk-your-key-here`) do not.
"""

import re
from dataclasses import dataclass

from tidegate.policy.guard import Severity
from tidegate.policy.guard_sight import Grow, Rule, Sight, going_on

KIND = "key"
JUDGED = 64
"""A key is told by so many characters after its beginning, however long it is."""
_DIFFERENT = 8
_SHORT = 3
"""A beginning that others begin with too: the longer one names the maker."""
_HEADER = 512
"""The longest first part of a JSON web token."""


def _rule(name: str, severity: Severity = Severity.HIGH) -> Rule:
    return Rule(KIND, f"{KIND}/{name}", severity, rank=10)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """How the keys of one maker begin, which characters follow and how many there are at least.

    `exactly` so many where it is set. `after` tells that the beginning stands before the key, not in it.
    """

    begins: str
    rule: Rule
    kept: str
    least: int
    exactly: bool = False
    after: bool = False
    judged: re.Pattern[str] = re.compile("")
    grow: Grow | None = None


_WORD, _DASHED, _UPPER = "A-Za-z0-9", "A-Za-z0-9_-", "A-Z0-9"


def _beginning(
    begins: str, name: str, kept: str, least: int, *, exactly: bool = False, after: bool = False
) -> _Beginning:
    severity = Severity.MEDIUM if after else Severity.HIGH
    rule = Rule(KIND, f"{KIND}/{name}", severity, rank=10 if len(begins) > _SHORT else 11)
    judged = re.compile(f"[{kept}]{{0,{max(JUDGED, least)}}}+")
    return _Beginning(begins, rule, kept, least, exactly, after, judged, None if exactly else going_on(kept))


_BEGINNINGS = (
    _beginning("sk-", "openai", _DASHED, 16),
    _beginning("sk-ant-", "anthropic", _DASHED, 16),
    _beginning("sk-or-", "openrouter", _DASHED, 16),
    _beginning("gsk_", "groq", _WORD, 16),
    _beginning("xai-", "xai", _WORD, 16),
    _beginning("hf_", "hugging-face", _WORD, 16),
    _beginning("csk-", "cerebras", _WORD, 16),
    _beginning("fw_", "fireworks", _WORD, 16),
    _beginning("tgp_v1_", "together", _DASHED, 16),
    _beginning("AIza", "google", _DASHED, 30),
    _beginning("ya29.", "google", _DASHED, 20),
    _beginning("AKIA", "aws", _UPPER, 16, exactly=True),
    _beginning("ASIA", "aws", _UPPER, 16, exactly=True),
    *(_beginning(f"gh{kind}_", "github", _WORD, 30) for kind in "opsur"),
    _beginning("github_pat_", "github", "A-Za-z0-9_", 30),
    _beginning("glpat-", "gitlab", _DASHED, 20),
    *(_beginning(f"xox{kind}-", "slack", "A-Za-z0-9-", 20) for kind in "abeprs"),
    _beginning("xapp-", "slack", "A-Za-z0-9-", 20),
    _beginning("hooks.slack.com/services/", "slack", "A-Za-z0-9/", 30, after=True),
    *(
        _beginning(f"{kind}_{mode}_", "stripe", _WORD, 16)
        for kind in ("sk", "rk")
        for mode in ("live", "test")
    ),
    _beginning("whsec_", "stripe", "A-Za-z0-9+/=", 24),
    _beginning("npm_", "npm", _WORD, 30),
    _beginning("SG.", "sendgrid", "A-Za-z0-9_.-", 40),
    _beginning("AccountKey=", "azure", "A-Za-z0-9+/=", 80, after=True),
    _beginning("earer ", "bearer", "A-Za-z0-9._~+/-", 16, after=True),
)
_LONGEST_BEGINNING = max(len(beginning.begins) for beginning in _BEGINNINGS)


def _by_mark() -> tuple[tuple[str, dict[str, _Beginning], tuple[int, ...]], ...]:
    """Beginnings by what to look for, a rare last character or else all of it; longest sizes first."""
    marks: dict[str, dict[str, _Beginning]] = {}
    for beginning in _BEGINNINGS:
        last = beginning.begins[-1]
        marks.setdefault(last if last in "_-" else beginning.begins, {})[beginning.begins] = beginning
    return tuple(
        (mark, found, tuple(sorted({*map(len, found)}, reverse=True))) for mark, found in marks.items()
    )


_MARKS = _by_mark()
_JOINED = re.compile(r"[A-Za-z0-9_-]")
_OWN = re.compile(r"tg_[A-Za-z0-9]{1,64}+_[A-Za-z0-9]{16}")
_OWN_SO_FAR = re.compile(r"tg_[A-Za-z0-9]{0,64}+(?:_[A-Za-z0-9]{0,16})?\Z")
_OWN_RULE, _OWN_GROWS = _rule("tidegate"), going_on("A-Za-z0-9_")

_TOKEN = re.compile(rf"eyJ[{_DASHED}]{{10,{_HEADER}}}+\.eyJ[{_DASHED}]{{10}}")
_TOKEN_SO_FAR = re.compile(rf"eyJ[{_DASHED}]{{0,{_HEADER}}}+(?:\.(?:e(?:y(?:J[{_DASHED}]{{0,10}})?)?)?)?\Z")
_TOKEN_RULE, _TOKEN_GROWS = _rule("json-web-token"), going_on("." + _DASHED)

_BLOCK = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_SO_FAR = re.compile(r"-----BEGIN [A-Z ]{0,60}-{0,5}\Z")
_BLOCK_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s\\:,]|-(?=[^-]))*+")
_BLOCK_END = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_RULE = _rule("private-key")
_LONGEST_END = 80

_QUALIFIED = re.compile(
    r"(?:api|access|account|auth|aws|azure|bearer|bot|client|openai|private|refresh|secret|session|subscription)"
    r"[_ -]?\Z"
)
_LONGEST_QUALIFIER = 13
_ASSIGNS = re.compile(
    r"(?:key|token|secret|passw(?:or)?[dt]|contrase\u00f1a|mot de passe)"
    r"[\"']?[ \t]{0,2}(?::=|=>|[:=])[ \t]{0,2}[\"']?"
)
_NAMES = {
    "key": True,
    "token": True,
    "secret": False,
    "passw": False,
    "contrase\u00f1a": False,
    "mot de passe": False,
}
"""The words that begin `_ASSIGNS`, and whether they say something only behind a qualifier."""
_VALUE = re.compile(rf"[A-Za-z0-9_+/=~.-]{{0,{JUDGED}}}+")
_VALUE_GROWS = going_on("A-Za-z0-9_+/=~.-")
_AWS_SECRET = re.compile(r"[A-Za-z0-9/+]{40}")
_ASSIGNED, _ASSIGNED_AWS, _ASSIGNED_AZURE = (
    _rule("assigned", Severity.MEDIUM),
    _rule("aws-secret"),
    _rule("azure"),
)
_LEAST_VALUE = 20
_LONGEST_NAME = 32
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def keys(sight: Sight) -> None:
    """Find keys of known makers, JSON web tokens, private keys, and secrets by what they are assigned to."""
    floor = max(0, sight.begin - _LONGEST_BEGINNING)
    for mark, beginnings, sizes in _MARKS:
        at = sight.text.find(mark, floor)
        while at >= 0:
            end = at + len(mark)
            for size in sizes if sight.text[end - 2 : end - 1].isalnum() else ():
                if beginning := beginnings.get(sight.text[max(0, end - size) : end]):
                    _key(sight, beginning, end)
                    break
            at = sight.text.find(mark, end)
    _whole(sight, "tg_", _OWN, _OWN_SO_FAR, _OWN_RULE, _OWN_GROWS)
    _whole(sight, "eyJ", _TOKEN, _TOKEN_SO_FAR, _TOKEN_RULE, _TOKEN_GROWS)
    _whole(sight, "-----BEGIN ", _BLOCK, _BLOCK_SO_FAR, _BLOCK_RULE, _block_goes_on)
    _assigned(sight)


def is_random(value: str) -> bool:
    """Whether a value was drawn, not written: it has digits, letters and many different ones."""
    return (
        any(char.isdigit() for char in value)
        and any(char.isalpha() for char in value)
        and len(set(value)) >= _DIFFERENT
    )


def _key(sight: Sight, beginning: _Beginning, after: int) -> None:
    before = after - len(beginning.begins)
    if not beginning.after and before and _JOINED.match(sight.text, before - 1):
        return
    start = after if beginning.after else before
    judged = beginning.judged.match(sight.text, after)
    assert judged is not None
    size = judged.end() - after
    if judged.end() == len(sight.text) and size < max(JUDGED, beginning.least) and not sight.final:
        sight.undecided(start)
    elif (size == beginning.least if beginning.exactly else size >= beginning.least) and is_random(judged[0]):
        sight.found(beginning.rule, start, judged.end(), beginning.grow)


def _whole(
    sight: Sight, begins: str, whole: re.Pattern[str], so_far: re.Pattern[str], rule: Rule, grow: Grow
) -> None:
    """Find what has a shape as a whole: `so_far` holds where the text ends within it."""
    at = sight.text.find(begins, sight.begin)
    while at >= 0:
        if begins[0] == "-" or not (at and _JOINED.match(sight.text, at - 1)):
            if so_far.match(sight.text, at) and not sight.final:
                sight.undecided(at)
            elif found := whole.match(sight.text, at):
                sight.found(rule, at, found.end(), grow)
        at = sight.text.find(begins, at + len(begins))


def _block_goes_on(text: str, at: int, final: bool) -> tuple[int, bool]:  # noqa: FBT001
    """A private key goes on to the line that ends it, or else over whatever can stand in one."""
    body = _BLOCK_BODY.match(text, at)
    assert body is not None
    if end := _BLOCK_END.match(text, body.end()):
        return end.end(), True
    more_to_come = text.startswith("-", body.end()) and len(text) - body.end() < _LONGEST_END
    return body.end(), final or not (body.end() == len(text) or more_to_come)


def _assigned(sight: Sight) -> None:
    floor = max(0, sight.begin - _LONGEST_NAME)
    if sight.text.find(":", floor) < 0 and sight.text.find("=", floor) < 0:
        return
    for word, qualified in _NAMES.items():
        at = sight.lowered.find(word, floor)
        while at >= 0:
            named = _ASSIGNS.match(sight.lowered, at)
            before = sight.lowered[max(0, at - _LONGEST_QUALIFIER) : at]
            if named and (not qualified or _QUALIFIED.search(before)):
                _assigned_to(sight, named)
            at = sight.lowered.find(word, at + len(word))


def _assigned_to(sight: Sight, named: re.Match[str]) -> None:
    value = _VALUE.match(sight.text, named.end())
    assert value is not None
    size = len(value[0])
    if value.end() == len(sight.text) and size < JUDGED and not sight.final:
        sight.undecided(named.end())
    elif size >= _LEAST_VALUE and is_random(value[0]) and not _UUID.match(value[0]):
        sight.found(_maker(sight, named.start(), value[0]), named.end(), value.end(), _VALUE_GROWS)


def _maker(sight: Sight, at: int, value: str) -> Rule:
    """Whose secret it is, by its shape and what stands before it."""
    before = sight.lowered[max(0, at - _LONGEST_NAME) : at + _LONGEST_NAME]
    if _AWS_SECRET.fullmatch(value) and ("aws" in before or "access" in before):
        return _ASSIGNED_AWS
    return _ASSIGNED_AZURE if "azure" in before else _ASSIGNED
