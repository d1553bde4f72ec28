"""What scores say: intervals, permutation tests, ranking, equivalents, tables and sentences."""
