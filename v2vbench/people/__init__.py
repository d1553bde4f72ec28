"""Studies with people: pages that ask which of two videos is better, and what reads the answers."""
