from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tidegate.model.errors import ConfigError
from tidegate.stores.layout import PEPPER_BYTES, Layout, read_pepper


def test_the_pepper_is_made_once_and_kept(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    first = read_pepper(layout)
    assert len(first) == PEPPER_BYTES
    assert read_pepper(layout) == first
    assert layout.pepper.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in layout.root.glob(".pepper*")] == []


def test_two_processes_that_start_at_once_agree_on_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: read_pepper(layout), range(64)))) == 1


def test_a_pepper_that_others_can_read_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    read_pepper(layout)
    layout.pepper.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_pepper(layout)


def test_a_cut_pepper_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    read_pepper(layout)
    layout.pepper.write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes"):
        read_pepper(layout)
