"""The host: its kernel's dma-bufs and the renderer that exports them. Knows nothing of guest or VMM."""
