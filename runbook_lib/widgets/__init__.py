"""Forms and cards of the interactive page. They show and ask; what an answer means is decided elsewhere."""
