"""What is known of the catalogue's rows, measured: `python -m benchmarks.catalogue` writes docs/catalogue.md (a table),
docs/catalogue.html (a gallery) and benchmarks/results/catalogue.json."""
