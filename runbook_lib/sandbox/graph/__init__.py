"""Microsoft Graph v1.0, simulated as far as the procedure goes."""
