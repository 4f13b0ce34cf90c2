"""Pictures and patients that are there twice, and names that say who somebody is."""
