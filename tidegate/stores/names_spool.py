"""Plain names on their way from a gateway to the control process: encrypted lines in one file per boot.

They stand apart from the journal, so that a person can be erased from it: the journal holds pseudonyms. What
a crash loses is told again, because a new gateway process has met nobody yet.
"""

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
SUFFIX = ".names"
MAX_WAITING = 65_536
"""Names kept while the disk takes none; those beyond are told by their pseudonyms alone."""


class Name(msgspec.Struct, frozen=True, array_like=True):
    """One name as its tenant's caller gave it."""

    tenant: str
    kind: str
    pseudonym: str
    plain: str


_decode = msgspec.json.Decoder(Name).decode


def spool_key(pepper: bytes) -> bytes:
    """The key that spool files are encrypted with."""
    return hmac.digest(pepper, b"names spool", "sha256")


class NamesSpool:
    """Written by one gateway. `add` keeps names in memory, `flush` appends them to the file."""

    def __init__(self, directory: Path, boot: str, pepper: bytes) -> None:
        self._path = directory / f"{boot}{SUFFIX}"
        self._cipher = AESGCM(spool_key(pepper))
        self._waiting: list[bytes] = []
        self._torn = False
        self.dropped = 0

    def add(self, tenant: str, kind: str, pseudonym: str, plain: str) -> None:
        """Take in one name; beyond `MAX_WAITING` it is counted in `dropped`."""
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, msgspec.json.encode(Name(tenant, kind, pseudonym, plain)), None)
        self._waiting.append(b64encode(nonce + sealed))

    def flush(self) -> None:
        """Append what waits. One write, so a reader sees whole lines but for the last. Raises OSError.

        A line that a full disk cut is written again behind a line end, which makes of its half one that is
        left out.
        """
        if not self._waiting:
            return
        start = b"\n" if self._torn else b""
        lines = start + b"".join([line + b"\n" for line in self._waiting])
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = os.write(descriptor, lines)
        finally:
            os.close(descriptor)
        del self._waiting[: lines.count(b"\n", len(start), written)]
        self._torn = written < len(lines)


def take_names(directory: Path, pepper: bytes) -> Iterator[tuple[Path, list[Name]]]:
    """Each spool file with its names. The caller removes a file once they are stored.

    A file is moved aside first, so that what its gateway adds meanwhile goes to a new one. A line that is
    cut or that another pepper sealed is left out.
    """
    cipher = AESGCM(spool_key(pepper))
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        path.replace(path.with_suffix(f".taken-{os.urandom(4).hex()}"))
    for path in sorted(directory.glob("*.taken-*")):
        opened = (_opened(line, cipher) for line in path.read_bytes().split(b"\n") if line)
        yield path, [name for name in opened if name is not None]


def _opened(line: bytes, cipher: AESGCM) -> Name | None:
    try:
        raw = b64decode(line, validate=True)
        return _decode(cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None))
    except (ValueError, InvalidTag, msgspec.MsgspecError):
        return None
