"""Which queued jobs start."""
