"""Secrets: the configuration says where one is read, never what it is."""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tidegate.model.errors import ConfigError

FILE_BYTES = 65_536
"""A longer file is not a key."""

LOOKS_LIKE_A_KEY = re.compile(
    r"""(?<![A-Za-z0-9_-])(?:
        sk-[A-Za-z0-9_-]{16,}          # OpenAI, Anthropic, OpenRouter, DeepSeek
      | gsk_[A-Za-z0-9]{16,}           # Groq
      | xai-[A-Za-z0-9]{16,}           # xAI
      | hf_[A-Za-z0-9]{16,}            # Hugging Face
      | csk-[A-Za-z0-9]{16,}           # Cerebras
      | fw_[A-Za-z0-9]{16,}            # Fireworks
      | tgp_v1_[A-Za-z0-9_-]{16,}      # Together
      | AIza[A-Za-z0-9_-]{30,}         # Google
      | (?:AKIA|ASIA)[A-Z0-9]{16}      # AWS
      | gh[opsur]_[A-Za-z0-9]{30,}     # GitHub
      | tg_[A-Za-z0-9]+_[A-Za-z0-9]{16,}  # Tidegate's own
      | whsec_[A-Za-z0-9+/=]{16,}      # a webhook's signing secret
      | https://hooks\.slack\.com/[A-Za-z0-9/]{16,}  # the address of a Slack webhook
      | [Bb]earer\ +[A-Za-z0-9._~+/-]{16,}
      | eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}  # a JSON web token
      | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----
    )""",
    re.VERBOSE,
)


class Secret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a secret is read: the environment variable `env`, or the file `file`; exactly one is set."""

    env: str = ""
    file: str = ""

    @property
    def ref(self) -> str:
        """`env:NAME` or `file:PATH`, as `Deployment.secret` holds it."""
        return f"env:{self.env}" if self.env else f"file:{self.file}"

    @classmethod
    def of_ref(cls, ref: str) -> "Secret | None":
        """Return the secret that `ref` names; None for the empty reference."""
        kind, _, name = ref.partition(":")
        match kind:
            case "env":
                return cls(env=name)
            case "file":
                return cls(file=name)
            case _:
                return None

    def resolve(self, env: Mapping[str, str]) -> str:
        """Return the secret itself. Raises ConfigError, which never holds the value, when it is not there."""
        return _usable(self._from_file() if self.file else self._from_env(env), self.ref)

    def readable_by_others(self) -> bool:
        """Tell whether somebody beside the owner and the group may read the file."""
        try:
            return bool(self.file) and bool(Path(self.file).stat().st_mode & stat.S_IROTH)
        except OSError:
            return False

    def _from_env(self, env: Mapping[str, str]) -> str:
        if self.env not in env:
            raise ConfigError(f"the environment variable {self.env} is not set")
        return env[self.env]

    def _from_file(self) -> str:
        try:
            with Path(self.file).open("rb") as opened:
                raw = opened.read(FILE_BYTES + 1)
        except OSError as error:
            raise ConfigError(f"the file {self.file} cannot be read: {error.strerror}") from None
        if len(raw) > FILE_BYTES:
            raise ConfigError(f"the file {self.file} is larger than {FILE_BYTES} bytes, so it is no key")
        return raw.decode("latin-1")


def _usable(value: str, ref: str) -> str:
    """Strip blanks around a key; a key that cannot stand in a header is refused."""
    value = value.strip()
    where = ref.replace("env:", "the environment variable ").replace("file:", "the file ")
    if not value:
        raise ConfigError(f"{where} is empty")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ConfigError(f"{where} holds characters that cannot stand in a header; is it one key?")
    return value
