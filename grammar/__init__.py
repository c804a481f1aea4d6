"""How a spec is written: text or a Python function -> syntax tree, and back to text."""
