"""The page for a person in JupyterLab."""
