"""What became of each ingest: a record kept in the index while it runs, and the report a person reads."""
