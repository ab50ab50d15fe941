"""What both services hold, as one tenant means it."""
