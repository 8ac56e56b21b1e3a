"""What can go wrong with a journal, as types that callers act on."""

from tidegate.model.errors import TidegateError, Unavailable


class JournalFull(Unavailable):
    """No room can be set aside for another record now: disk full, disk failing, or closed."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the journal takes no new record: {why}", retry_after_s=1)


class JournalStalled(Unavailable):
    """A record was taken, but it was not on disk within the patience."""

    def __init__(self, mark: int, patience_s: float) -> None:
        super().__init__(f"record {mark} was not on disk within {patience_s:g} s", retry_after_s=1)


class RecordTooLarge(TidegateError):  # noqa: N818 - the tree names facts
    """A record does not fit in one frame."""

    code = "record_too_large"

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"a record of {size_bytes} bytes, at most {limit_bytes} fit in a frame")


class StillLive(TidegateError):  # noqa: N818 - same
    """The directory's lock is held: its owner (or somebody who seals it) is at work."""

    code = "journal_live"


class CorruptFrame(TidegateError):  # noqa: N818 - same
    """Bytes that were synced do not read back. `Reader.after` names the place to go on from."""

    code = "journal_corrupt"

    def __init__(self, boot: str, segment: int, offset: int, why: str) -> None:
        super().__init__(
            f"journal {boot}, segment {segment}, offset {offset}: {why}",
            facts={"boot": boot, "segment": segment, "offset": offset},
        )
        self.boot, self.segment, self.offset, self.why = boot, segment, offset, why
