"""Runs side by side: read, told apart, and how sure the differences are."""
