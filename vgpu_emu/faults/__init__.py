"""What can go wrong between the parties and below them: plans as values, and the middleware that carries them out."""
