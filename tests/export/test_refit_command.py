"""`evolver refit` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from evolver.cli.main import app
from evolver.errors import UsageError
from evolver.export.package import write_package

runner = CliRunner()


def test_refit_writes_a_package_beside_the_old_one(
    tmp_path: Path, arguments: Callable[..., dict[str, Any]]
) -> None:
    folder = write_package(tmp_path / "shop", "shop_items", **arguments())
    rows = [f"u{u},i{(u * 7 + step * step) % 40},{step}" for step in range(12) for u in range(40)]
    data = tmp_path / "new.csv"
    data.write_text("user,item,time\n" + "\n".join(rows))
    done = runner.invoke(
        app, ["refit", str(folder), str(data), "--sandbox", "unconfined", "--json"]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    written = Path(said["package"])
    assert written == tmp_path / "shop-refit"
    assert "i7" in json.loads((written / "shop_items" / "data" / "item_ids.json").read_text())
    assert said["rival"] == "popularity"
    assert set(said["gain"]) == {"value", "low", "high"}
    again = runner.invoke(app, ["refit", str(folder), str(data), "--sandbox", "unconfined"])
    assert isinstance(again.exception, UsageError)
    assert "--overwrite" in str(again.exception)


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path) -> None:
    done = runner.invoke(app, ["refit", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert "not a package" in str(done.exception)
