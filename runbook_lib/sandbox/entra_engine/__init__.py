"""The Entra provisioning engine: reads a job's schema and sends real SCIM requests to the saved endpoint."""
