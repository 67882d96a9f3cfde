"""`c2r eval`: what a renderer's videos are worth, in numbers that say how they were made."""
