"""How fast things are, each beside the machine's own ceiling in the same run."""
