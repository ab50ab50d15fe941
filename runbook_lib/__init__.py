"""Carry out Auth0's procedure "Inbound SCIM for Older Azure AD Connections", one documented step at a time."""

__version__ = "0.2.0"
