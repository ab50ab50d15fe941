"""Auth0's token endpoint and Management API, simulated."""
