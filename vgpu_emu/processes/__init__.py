"""The parties in processes of their own: `host` and `vmm` are what those run, the rest is what a machine has of it."""
