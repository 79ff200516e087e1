"""What the program of every task shares."""
