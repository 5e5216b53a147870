"""What the machine works on: jobs, traces, checkpoints and restarts."""
