"""Cohorts, patients and labels a query sits nearest to."""
