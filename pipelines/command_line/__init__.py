"""The commands, as Typer calls them: arguments in, text out. What a command does is in ``pipelines.commands``."""
