"""Isolation: code from outside runs in a process that has locked itself in, or not at all."""
