"""Serving decisions learned from logs: read a log, estimate policies off-policy, learn, adopt."""
