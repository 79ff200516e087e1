"""Choosing a past state, and learning which one to choose."""
