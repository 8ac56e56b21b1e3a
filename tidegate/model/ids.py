"""UUIDv7 text from a time and random bits that the caller gives (RFC 9562, section 5.7)."""


def uuid7(at_us: int, random: int) -> str:
    """The UUIDv7 for a time (microseconds since the epoch) and 74 random bits, as 36 characters.

    The twelve bits after the millisecond carry the fraction of it (method 3 of section 6.2), so that ids
    sort by time within one process.
    """
    millis = at_us // 1000
    high, low, fraction = millis >> 16 & 0xFFFF_FFFF, millis & 0xFFFF, at_us % 1000 * 4096 // 1000
    variant, node = 0x8000 | random >> 48 & 0x3FFF, random & 0xFFFF_FFFF_FFFF
    return f"{high:08x}-{low:04x}-7{fraction:03x}-{variant:04x}-{node:012x}"
