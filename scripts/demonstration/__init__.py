"""What scripts/demo runs, and the tables that it ends with."""
