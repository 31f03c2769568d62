"""A vhost-user front-end: our guest on somebody else's device."""
