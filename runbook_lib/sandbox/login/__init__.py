"""Microsoft login (the v2.0 endpoints), simulated for msal."""
