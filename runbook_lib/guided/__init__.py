"""The page as a person works with it: connect, choose, look, apply, keep the evidence."""
