"""What a path that is passed through does: whether it costs now, later, or nothing at all (trap M10)."""

from typing import Literal

from tidegate.model.provider import PassThrough

Kind = Literal["later", "keeps", "free", "metered"]
"""`later`: it starts work that is billed after its reply. `keeps`: it costs nothing, and reads or changes
what is kept for the whole account. `free`: it costs nothing and keeps nothing. `metered`: it may cost."""

_READS = ("GET", "HEAD")

_LATER = frozenset(
    {
        *("batch", "batches", "batchpredictionjobs", "jobs", "queue", "async", "async-invoke", "predictions"),
        *("fine_tuning", "fine-tuning", "fine_tunes", "fine-tunes", "finetune", "tunedmodels", "tuningjobs"),
        *("assistants", "threads", "chatkit", "evals", "realtime", "live", "video", "videos"),
        *("vector_stores", "containers", "cachedcontents", "endpoints", "dedicated-endpoints"),
    }
)
"""Segments of paths whose POST starts batches, trainings, runs, sessions, films, or storage by the day."""

_LATER_VERBS = ("predictlongrunning", "batchgeneratecontent", "asyncbatchembedcontent", "bidigeneratecontent")
_LATER_AT_THE_END = "deployments"
"""Servers by the hour; inside a path it is Azure's word for a model."""

_UNTOLD = ("/audio/speech",)
"""Paths whose reply cannot say what it used: it is sound alone."""


def kind_of(method: str, path: str, known: PassThrough) -> Kind:
    """Return what a call does.

    Only what is written in the provider's row is free; what spends later is known by its name anywhere.
    """
    segments = [segment.partition(";")[0] for segment in path.casefold().strip("/").split("/")]
    if method in _READS:
        return "free" if "models" in segments else "keeps"
    last = segments[-1]
    is_later = not _LATER.isdisjoint(segments) or last.rpartition(":")[2] in _LATER_VERBS
    if method == "DELETE" or (last == "cancel" and (is_later or "responses" in segments)):
        return "keeps"
    if is_later or last == _LATER_AT_THE_END:
        return "later"
    if _covers(known.keeps, path):
        return "keeps"
    return "free" if _covers(known.free, path) else "metered"


def tells_usage(path: str) -> bool:
    """Whether the reply to a path can say what it used."""
    return not path.casefold().rstrip("/").endswith(_UNTOLD)


def _covers(listed: tuple[str, ...], path: str) -> bool:
    """Whether a path is a listed one or below it; an entry with a colon is a verb that a path ends with."""
    return any(
        path.endswith(one) if one.startswith(":") else path == one or path.startswith(f"{one}/")
        for one in listed
    )
