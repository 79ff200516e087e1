"""What runs, measures and renders: programs, and what they share."""
