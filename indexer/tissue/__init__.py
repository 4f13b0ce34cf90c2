"""Where the tissue is: mask, grid of tiles, patches of pixels."""
