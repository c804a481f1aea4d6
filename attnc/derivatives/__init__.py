"""Derivatives as graph rewriting: a graph goes in, an ordinary graph comes out."""

from .vjp import Part, vjp

__all__ = ["Part", "vjp"]
