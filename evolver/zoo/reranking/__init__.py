"""Seed candidates for re-ranking. Each is one file; nothing here imports them."""
