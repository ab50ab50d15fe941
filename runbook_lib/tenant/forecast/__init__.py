"""The forecast: what the next provisioning cycle does to each person, told before it happens."""
