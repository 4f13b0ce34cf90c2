"""The tables, their card, versions and locks, on disk or in a bucket; the one writer."""
