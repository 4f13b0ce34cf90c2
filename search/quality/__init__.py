"""What a space is worth, measured: beside chance and beside colour alone."""
