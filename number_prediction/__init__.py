"""Number prediction: the task's programs and their parts."""
