"""Makes a test set from people's own documents: synthetic, and marked so in everything that is made of it."""
