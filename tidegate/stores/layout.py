"""Where things lie in a state directory, and the pepper that keys everything in it."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tidegate.model.errors import ConfigError

PEPPER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one state directory."""

    root: Path

    @property
    def gateway_journal(self) -> Path:
        """Boot directories of gateways."""
        return self.root / "journal" / "gateway"

    @property
    def control_journal(self) -> Path:
        """Boot directories of the control process."""
        return self.root / "journal" / "control"

    @property
    def control_lock(self) -> Path:
        """Held by the one control process."""
        return self.root / "control.lock"

    @property
    def socket(self) -> Path:
        """The control process's Unix socket, for the command line."""
        return self.root / "control.sock"

    @property
    def supervisor_socket(self) -> Path:
        """The supervisor's Unix socket, for `tidegate upgrade`."""
        return self.root / "serve.sock"

    @property
    def kept_configuration(self) -> Path:
        """The configuration that came into force last, as it was written."""
        return self.root / "tidegate.toml.kept"

    @property
    def names(self) -> Path:
        """Plain names on their way from gateways to the control process, encrypted."""
        return self.root / "names"

    @property
    def pepper(self) -> Path:
        """The key that keys and pseudonyms are made with, readable by its owner alone."""
        return self.root / "pepper"

    def make(self) -> None:
        """Make the directories that are missing, private to their owner."""
        for path in (self.root, self.gateway_journal, self.control_journal, self.names):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)


def read_pepper(layout: Layout) -> bytes:
    """The pepper; made on first use. Raises ConfigError for a file that others can read or that is cut."""
    layout.make()
    with suppress(FileExistsError):
        _make_pepper(layout.pepper)
    found = layout.pepper.stat()
    if found.st_mode & 0o077:
        raise ConfigError(f"{layout.pepper} can be read by others; run: chmod 600 {layout.pepper}")
    pepper = layout.pepper.read_bytes()
    if len(pepper) != PEPPER_BYTES:
        raise ConfigError(f"{layout.pepper} has {len(pepper)} bytes instead of {PEPPER_BYTES}; restore it")
    return pepper


def _make_pepper(path: Path) -> None:
    """Write a new pepper beside its place and link it there, so that nobody ever reads half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if path.exists():
        raise FileExistsError(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(secrets.token_bytes(PEPPER_BYTES))
            opened.flush()
            os.fsync(opened.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink()
