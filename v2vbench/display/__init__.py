"""What notebooks show: pictures and tables."""
