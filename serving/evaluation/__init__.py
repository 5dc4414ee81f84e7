"""Published measurements beside what the model says: where it is right, where it is not, and what cannot be judged."""
