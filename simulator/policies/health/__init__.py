"""Which repaired nodes may work again."""
