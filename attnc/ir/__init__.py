"""The graph: a small typed, hash-consed SSA form of what a spec means. Imports only diagnostics."""

from .axis import Axis
from .graph import Graph
from .node import Node, Tensor

__all__ = ["Axis", "Graph", "Node", "Tensor"]
