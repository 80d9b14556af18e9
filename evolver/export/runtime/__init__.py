"""A recommender that was evolved, measured and exported by evolver; see MODEL_CARD.md."""

from __future__ import annotations

from ._recommender import Recommender, load

__all__ = ["Recommender", "load"]
