"""On which nodes a job starts."""
