"""Seed candidates for labelled tables. Each is one file; nothing here imports them."""
