"""The sample world: a city as numbers, a game that draws it, a director, and a studio. No torch."""
