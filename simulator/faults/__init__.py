"""What goes wrong: classes of faults, their draws, their sources and their repairs."""
