"""How well trained models predict, one module a kind of data."""
