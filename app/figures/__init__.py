"""Pictures of answers, for files and pages."""
