"""The policy included in the project."""
