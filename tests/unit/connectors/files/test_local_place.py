from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kwiksync_ops.connectors.files.local_place import LocalPlace
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError, SystemUnavailableError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    (tmp_path / "secret.csv").write_text("secret")
    return found


def names(place: LocalPlace, folder: str = "", *, deep: bool = True) -> list[str]:
    return [file.name for file in place.files(folder, deep=deep)]


def test_plain_files_are_listed_and_hidden_ones_and_others_are_not(folder: Path) -> None:
    (folder / "sub").mkdir()
    for name in ("b.csv", "a.csv", ".hidden.csv", "sub/c.csv"):
        (folder / name).write_text("x")
    os.mkfifo(folder / "pipe.csv")
    place = LocalPlace(folder.as_uri())
    assert names(place) == ["a.csv", "b.csv", "sub/c.csv"]
    assert names(place, deep=False) == ["a.csv", "b.csv"]
    assert names(place, "sub") == ["sub/c.csv"]
    assert names(place, "none") == []


def test_links_are_followed_within_the_folder_only(folder: Path, tmp_path: Path) -> None:
    (folder / "a.csv").write_text("mine")
    (folder / "inside.csv").symlink_to(folder / "a.csv")
    (folder / "outside.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "nothing.csv").symlink_to(folder / "gone.csv")
    (folder / "up").symlink_to(tmp_path)
    place = LocalPlace(folder.as_uri())
    assert names(place) == ["a.csv", "inside.csv"]
    with place.open("inside.csv") as file:
        assert file.read() == b"mine"
    for name in ("outside.csv", "up/secret.csv", "../secret.csv", "/etc/passwd", "a\\..\\b", "sub/../../secret.csv"):
        with pytest.raises(InsecureTransportError):
            place.open(name)
        with pytest.raises(InsecureTransportError):
            place.find(name)
    for name in ("up/new.csv", "../new.csv"):
        with pytest.raises(InsecureTransportError):
            place.write(name, b"x")
        with pytest.raises(InsecureTransportError):
            place.move("a.csv", name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "secret.csv"]


def test_a_file_is_written_whole_with_its_folders(folder: Path) -> None:
    place = LocalPlace(folder.as_uri())
    place.write("out/2026/a.csv", b"one")
    place.write("out/2026/a.csv", b"two")
    assert (folder / "out/2026/a.csv").read_bytes() == b"two"
    assert [path.name for path in (folder / "out/2026").iterdir()] == ["a.csv"]
    assert stat.S_IMODE((folder / "out/2026/a.csv").stat().st_mode) & 0o007 == 0


def test_a_write_that_fails_leaves_nothing_behind(folder: Path) -> None:
    place = LocalPlace(folder.as_uri())
    (folder / "a.csv").mkdir()
    with pytest.raises(SystemUnavailableError):
        place.write("a.csv", b"x")
    assert [path.name for path in folder.iterdir()] == ["a.csv"]


def test_a_version_changes_whatever_is_done_to_the_times(folder: Path) -> None:
    path = folder / "a.csv"
    path.write_text("one")
    place = LocalPlace(folder.as_uri())
    before, at = place.find("a.csv"), path.stat()
    path.write_text("two")
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    after = place.find("a.csv")
    assert before is not None
    assert after is not None
    assert (before.size, before.modified) == (after.size, after.modified)
    assert before.version != after.version


def test_a_folder_that_is_not_there_is_a_mistake(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no folder"):
        LocalPlace((folder / "none").as_uri()).files("", deep=False)
    for url in ("file://server/share", "file:relative"):
        with pytest.raises(ConfigurationError, match="names no folder"):
            LocalPlace(url)
