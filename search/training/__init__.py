"""A space trained on the slides a user names."""
