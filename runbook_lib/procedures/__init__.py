"""What a document says: tables of numbers, titles and order, and no logic."""
