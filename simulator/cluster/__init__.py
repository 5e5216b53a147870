"""What the machine consists of and what falls together."""
