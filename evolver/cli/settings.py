"""From flags and files to a checked configuration: a flag beats the file, the file the default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from evolver.cli.words import is_duration, seconds
from evolver.config import STAGED, RunConfig
from evolver.errors import ConfigError, UsageError


def resolve(settings: dict[str, Any]) -> RunConfig:
    """Settings as a checked configuration. Raises `ConfigError` in one line for each fault."""
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, not {e['input']!r}"[:300]
            for e in error.errors()
        ]
        raise ConfigError("; ".join(faults)) from None


def from_file(path: Path | None) -> dict[str, Any]:
    """The settings that a YAML or JSON file holds; none without a file. Raises `ConfigError`."""
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ConfigError(
            f"{path} must hold settings by name, such as 'budget: {{candidates: 30}}'"
        )
    return found


def lay(settings: dict[str, Any], group: str, **given: Any) -> None:
    """Lay the flags that were given over one group of settings."""
    kept = {name: value for name, value in given.items() if value is not None and value != []}
    if kept:
        settings[group] = {**settings.get(group, {}), **kept}


def column_and_limit(given: list[str]) -> tuple[str | None, float | None]:
    """What --time said: the column that holds the times, and the limit in seconds."""
    durations = [text for text in given if is_duration(text)]
    columns = [text for text in given if not is_duration(text)]
    if len(durations) > 1 or len(columns) > 1:
        raise ConfigError(
            f"--time was given {', '.join(given)}: at most one duration such as 10m and one column"
        )
    return (columns[0] if columns else None), (seconds(durations[0]) if durations else None)


def column_kinds(given: list[str]) -> dict[str, str] | None:
    """What --column NAME=KIND said of columns; None where it was not given."""
    for text in given:
        if "=" not in text:
            raise ConfigError(f"--column {text}: write NAME=KIND, such as price=numeric")
    return {name: kind for name, _, kind in (text.rpartition("=") for text in given)} or None


def seconds_of(text: str | None) -> float | None:
    """A duration such as 90s or 1h30m in seconds. Raises `ConfigError`."""
    try:
        return None if text is None else seconds(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def unless_auto(choice: str) -> str | None:
    """A flag whose default is "auto" lets a file's setting stand."""
    return None if choice == "auto" else choice


def lay_pipeline(settings: dict[str, Any], path: Path | None) -> None:
    """Lay a pipeline's file over the setting that the task keeps one in, its programs written out.
    Raises `ConfigError`, and UsageError where the task has no use for it."""
    if path is None:
        return
    from evolver.agents.document import read

    task = settings.get("task", "retrieval")
    if task not in STAGED:
        raise UsageError(f"--pipeline goes with --task {' or --task '.join(STAGED)}, not {task}")
    text = read(path).text()
    if task == "pipeline":
        lay(settings, "propose", pipeline=text)
    else:
        lay(settings, "evaluate", upstream=text)


def as_text(path: Path | None) -> str | None:
    """A path as settings hold it."""
    return None if path is None else str(path)
