"""A local stand-in for Auth0, Microsoft login, Microsoft Graph and the Entra provisioning engine. See README.md here."""
