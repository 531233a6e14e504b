"""The policy the project carries: how its corpus is written, how it is trained, how it is examined, its weights."""
