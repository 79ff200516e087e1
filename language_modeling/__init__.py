"""Language modeling: the task's program and its parts."""
