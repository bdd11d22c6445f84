"""Finds plugins, and runs handlers."""
