"""Plan, apply, prove, remember."""
