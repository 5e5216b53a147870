"""What happens to an interrupted job."""
