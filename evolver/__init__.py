"""evolver evolves recommender systems."""

__version__ = "0.1.0"
