"""What each step does, in one file for each thing in a service."""
