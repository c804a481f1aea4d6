"""Mistakes as data, and their one renderer. Imports nothing of attnc."""

from .diagnostic import AttnError, Diagnostic, Findings, Label, Mistake, PlacedMistake
from .source import NOWHERE, Source, Span
from .suggestions import did_you_mean

__all__ = [
    "NOWHERE", "AttnError", "Diagnostic", "Findings", "Label", "Mistake", "PlacedMistake", "Source", "Span",
    "did_you_mean",
]  # fmt: skip
