"""What a run leaves behind: folder, records, checkpoints, provenance."""
