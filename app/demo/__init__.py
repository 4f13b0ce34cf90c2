"""The demo: data, index, one question of each kind, gallery."""
