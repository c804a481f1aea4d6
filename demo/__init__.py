"""What `make demo` runs: a character-level transformer trained with attention from a spec and with torch's own."""
