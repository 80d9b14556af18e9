"""A ranking model that was evolved, measured and exported by evolver; see MODEL_CARD.md."""

from __future__ import annotations

from ._ranker import Ranker, load

__all__ = ["Ranker", "load"]
