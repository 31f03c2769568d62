"""What connects the parties: descriptor chains, the host visible region, and channels that carry bytes."""
