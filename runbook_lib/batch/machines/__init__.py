"""A batch on several machines."""
