"""``python -m stepforge`` is the command line."""

from stepforge.cli import main

main()
