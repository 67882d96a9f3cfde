"""Directs scenes: from a seed to a take with its people, cars, camera path and caption."""
