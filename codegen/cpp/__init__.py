"""Statements -> C++ source text, and the headers that the text includes."""
