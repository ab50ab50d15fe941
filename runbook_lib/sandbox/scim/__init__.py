"""Auth0's SCIM endpoint, simulated. Its error bodies are not documented: they follow RFC 7644 section 3.12 (Unverified)."""
