"""The command line `python -m core`: one file a group of commands, with the options they share in `options`.

No other package of `core` imports it. Commands import PyTorch only when they run, so that `--help` answers at once.
"""
