"""Addresses of pages."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def href(*parts: object, **query: object) -> str:
    """The address with these parts of a path, and the questions that have an answer: neither "" nor
    None."""
    path = "/" + "/".join(quote(str(part), safe="") for part in parts)
    asked = {name: value for name, value in query.items() if value is not None and value != ""}
    return f"{path}?{urlencode(asked)}" if asked else path
