"""What a tool's result amounts to, by its words: nothing came of it, one has to wait, something was done.

Words of five languages, looked for in a text that is folded (`policy.fold`). They decide how often the same
may come back before it is a loop, and nothing else.
"""

import re
from collections.abc import Iterable

WAITING_CHARS = 400
DONE_CHARS = 200
"""A longer text is a result, not a word that one has to wait, or that something was done."""

_HEAD_CHARS = 400
_TAIL_CHARS = 200
_EMPTY = frozenset({"", "[]", "{}", "()", "null", "none", "0", '""', "''", "false"})
_EMPTY_CHARS = 24
_OK = frozenset({"ok", "ok.", "true"})

_UNHELPFUL = (
    *("error", "errno", "fail", "exception", "traceback", "invalid", "unexpected", "syntax", "undefined"),
    *("not found", "no such", "no result", "no match", "nothing", "not exist", "n't exist", "missing"),
    *("unable", "cannot", "can't", "could not", "couldn't", "timed out", "timeout", "unavailable", "unknown"),
    *("denied", "refused", "rejected", "forbidden", "unauthori", "not allowed", "not available"),
    *("none,", "(none"),
    *("fehler", "nicht gefunden", "ungültig"),
    *("erreur", "introuvable", "invalide"),
    *("no encontrado", "inválid"),
    *("errore", "non trovat"),
)
_DONE = (
    *("success", "done", "completed", "accepted", "applied", '"ok"', "'ok'"),
    *(
        "created",
        "inserted",
        "added",
        "updated",
        "replaced",
        "saved",
        "written",
        "deleted",
        "removed",
        "sent",
    ),
    *("erfolg", "gespeichert"),
    *("créé", "enregistré"),
    *("guardad", "cread"),
    *("salvat",),
)
_WAITING = (
    *("pending", "queued", "in progress", "in_progress", "in-progress", "running", "processing", "scheduled"),
    *("waiting", "not ready", "not yet", "starting", "warming up"),
    *("try again", "retry-after", "retry after", "rate limit", "rate_limit", "too many requests", "throttl"),
    *("429", "502", "503", "504", "529", "temporar", "unavailable", "overloaded", "busy"),
    *("timed out", "timeout", "connection reset", "connection refused", "connection error"),
    *("connection aborted", "connection dropped"),
)
_NUDGES = frozenset(
    (
        *("continue", "go", "on", "ahead", "ok", "okay", "yes", "please", "carry", "proceed", "next", "sure"),
        *("do", "it", "that", "keep", "going", "thanks", "thank", "you", "good", "great", "fine"),
        *("weiter", "ja", "bitte", "mach", "gut", "danke", "oui", "vas", "y", "continuez", "merci"),
        *("sí", "si", "sigue", "continúa", "gracias", "sì", "vai", "avanti", "continua", "grazie"),
    )
)
_MAX_NUDGE_CHARS = 60
_WORD = re.compile(r"\w+")


def is_unhelpful(text: str) -> bool:
    """Whether a folded result brings nothing: it is empty, or its start or end speaks of a failure."""
    if len(text) <= _EMPTY_CHARS and text.strip() in _EMPTY:
        return True
    if len(text) > _HEAD_CHARS + _TAIL_CHARS:
        text = f"{text[:_HEAD_CHARS]}\n{text[-_TAIL_CHARS:]}"
    return _any(_UNHELPFUL, text)


def is_waiting(text: str) -> bool:
    """Whether a folded result says that there is something to wait for: a job that runs, a busy server."""
    return len(text) <= WAITING_CHARS and _any(_WAITING, text)


def is_done(text: str) -> bool:
    """Whether a folded result only says that something was done, as it says for each of many things."""
    return len(text) <= DONE_CHARS and (text.strip() in _OK or _any(_DONE, text))


def is_nudge(text: str) -> bool:
    """Whether a user only says to go on."""
    return len(text) <= _MAX_NUDGE_CHARS and _NUDGES.issuperset(_WORD.findall(text.lower()))


def _any(words: Iterable[str], text: str) -> bool:
    return any(word in text for word in words)
