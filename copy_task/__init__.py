"""The copy task: its program and its parts."""
