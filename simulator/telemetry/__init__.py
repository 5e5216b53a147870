"""What the operator inside the simulated world can see."""
