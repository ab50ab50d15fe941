"""The forecast: what the next provisioning cycle does to each person, predicted before it happens."""
