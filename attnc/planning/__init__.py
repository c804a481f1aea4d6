"""Answers -> plan: which passes run in which order, and everything about each of them."""
