"""Speed and quality tables, one command each: `python -m benchmarks.<name> --json`."""
