"""What an ingest would do, take and cost, found out without writing anything."""
