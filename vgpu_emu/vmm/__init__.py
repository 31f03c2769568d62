"""The VMM: a virtio-gpu device in front of a renderer that it reaches by questions only."""
