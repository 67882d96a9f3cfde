"""The server: its life, its calls, who is admitted and what is granted."""
