"""Many tenants: from a tenants file to one executed page each and one summary."""
