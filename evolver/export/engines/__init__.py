"""What ranks in an exported recommender: one of these files becomes the package's `_engine.py`."""
