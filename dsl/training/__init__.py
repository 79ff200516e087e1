"""The loop that trains, and what trains each kind of model."""
