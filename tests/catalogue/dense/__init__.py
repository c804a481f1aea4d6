"""Dense computations of the catalogue's rows, in plain torch, from their papers' formulas: a module for each theme."""
