"""A factory for process-supervision data: which step of a chain of thought is wrong, measured."""
