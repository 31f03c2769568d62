"""Real peers: our device for a real guest, our driver on a real device, over unix sockets."""
