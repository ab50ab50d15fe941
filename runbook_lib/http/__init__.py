"""One request, sent safely."""
