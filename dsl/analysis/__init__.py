"""What trained models connect, and how their gradients flow."""
