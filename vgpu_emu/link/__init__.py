"""What connects the parties: descriptor chains, split virtqueues, the host visible region, channels for bytes."""
