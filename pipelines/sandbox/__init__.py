"""Isolation: outside code runs in a confined process, or not at all."""
