"""Deep zoom on the slides of an index: tiles, overlays, and the component that shows both."""
