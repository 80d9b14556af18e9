"""Labelled tables: rows with features and a label 0 or 1, as click-through prediction has them."""
