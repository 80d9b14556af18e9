"""Known names: fetched once, kept only with the right checksum; over HTTP to this machine."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evolver.config import DataConfig
from evolver.data.download import CATALOGUE, Remote, fetched
from evolver.data.formats import load
from evolver.errors import DataError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVOLVER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def archive() -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as packed:
        packed.writestr(
            "toy/u.data", "".join(f"{n % 5}\t{n % 7}\t3\t{10**9 + n}\n" for n in range(50))
        )
        packed.writestr("../escape.txt", "outside")
    return memory.getvalue()


def entry(site: str, data: bytes, checksum: str | None = None) -> dict[str, Remote]:
    digest = checksum or hashlib.sha256(data).hexdigest()
    return {"toy": Remote(url=f"{site}/toy.zip", sha256=digest, folder="toy")}


def test_a_known_name_is_fetched_once_and_read(site, cache: Path, tmp_path: Path):
    address, folder = site
    (folder / "toy.zip").write_bytes(archive())
    catalogue = entry(address, archive())
    place = fetched("toy", catalogue)
    (folder / "toy.zip").unlink()
    assert fetched("toy", catalogue) == place
    assert len(load(DataConfig(path=str(place)))) == 50
    assert not list(tmp_path.glob("**/site/escape.txt"))
    assert not (cache / "escape.txt").exists()
    assert not (cache / "downloads" / "escape.txt").exists()
    assert [path.name for path in (cache / "downloads").iterdir()] == ["toy"]


@pytest.mark.parametrize(
    ("data", "checksum", "expected"),
    [
        (archive(), "0" * 64, "does not have the published checksum and was not kept"),
        (b"not a zip", None, "cannot be unpacked"),
        (None, None, "cannot be fetched from"),
    ],
)
def test_nothing_is_kept_of_what_cannot_be_trusted(site, cache: Path, data, checksum, expected):
    address, folder = site
    if data is not None:
        (folder / "toy.zip").write_bytes(data)
    with pytest.raises(DataError, match=expected):
        fetched("toy", entry(address, data or b"", checksum))
    assert list((cache / "downloads").iterdir()) == []


def test_unknown_names_list_the_known_ones():
    with pytest.raises(DataError, match=r"nope does not exist; .* known names: ml-100k, ml-1m"):
        load(DataConfig(path="nope"))


def test_the_catalogue_is_complete():
    for name, remote in CATALOGUE.items():
        assert remote.url.startswith("https://")
        assert remote.url.endswith(f"/{name}.zip")
        assert len(bytes.fromhex(remote.sha256)) == 32
