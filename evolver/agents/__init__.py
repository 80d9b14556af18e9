"""Agents, and the pipelines that they serve in."""
