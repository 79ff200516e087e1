"""Files, locks, signals and terminals: what knows nothing of networks."""
