"""The command line: ``python -m dali COMMAND``. One module a command, each a thin shell around the engine."""
