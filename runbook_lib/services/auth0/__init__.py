"""Auth0's Management API."""
