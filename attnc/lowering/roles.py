"""Roles of axes while a spec is still being lowered."""

from __future__ import annotations

from ..ir import Node
from ..ir.roles import find_roles
from .scope import Scope


def holds_statistic(scope: Scope, node: Node) -> bool:
    """Whether reading `node` elsewhere would repeat a reduction over a length."""
    return find_roles(declared.tensor.sizes for declared in scope.inputs.values()).holds_statistic(node)
