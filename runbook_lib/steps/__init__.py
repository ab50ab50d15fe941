"""How: what a step does, by the thing in a service that it is about."""
