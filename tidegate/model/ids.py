"""UUIDv7 text from a time and random bits that the caller gives (RFC 9562, section 5.7)."""


def uuid7(at_us: int, random: int) -> str:
    """The UUIDv7 for a time (microseconds since the epoch) and 74 random bits, as 36 characters.

    The twelve bits after the millisecond carry the fraction of it (method 3 of section 6.2), so that ids
    sort by time within one process.
    """
    millis, micros = divmod(at_us, 1000)
    fraction = micros * 4096 // 1000
    value = (millis & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62
    value |= random & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
