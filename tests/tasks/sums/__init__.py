"""A task of a moment: how far is the sum of what was read from the true one?"""
