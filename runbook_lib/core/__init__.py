"""What everything else may use: errors, secrets, display, templates."""
