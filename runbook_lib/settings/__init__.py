"""What the operator asks for, and where secrets are found."""
