"""Grading: finding the final answer in a text, reading it, and judging it against a reference. Pure functions."""
