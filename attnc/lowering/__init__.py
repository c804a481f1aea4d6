"""Syntax tree -> graph: names, axes and types are checked, definitions are expanded, masks become domains."""

from .lower import lower
from .meaning import InputDeclaration, Meaning, ParameterDeclaration, Result

__all__ = ["InputDeclaration", "Meaning", "ParameterDeclaration", "Result", "lower"]
