"""Plan -> statements -> source text. Knows no torch; one folder for each backend."""
