"""Whether it is said well where a secret is read. Settings in, problems out."""

import re
from collections.abc import Iterator

from tidegate.config.problem import Problem
from tidegate.config.secret import Secret

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def secret_problems(secret: Secret, path: str) -> Iterator[Problem]:
    """Yield what is wrong with a secret's place; `path` is its key's."""
    if bool(secret.env) == bool(secret.file):
        yield Problem(path=path, message='name one place: { env = "NAME" } or { file = "path" }')
    elif secret.env and not _ENV_NAME.fullmatch(secret.env):
        yield Problem(
            path=f"{path}.env",
            message="expected the name of an environment variable (letters, digits, _), not its value",
        )
    elif secret.readable_by_others():
        yield Problem(
            path=f"{path}.file",
            level="warning",
            message=f"everybody on this machine can read it; run chmod 600 {secret.file}",
        )
