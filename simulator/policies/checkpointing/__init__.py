"""How much work lies between two checkpoints."""
