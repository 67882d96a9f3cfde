"""A low-poly city as plain data: plans, meshes, people and cars in motion, cameras. No engine.

Every program that renders it (the sample game, the coarse and the fine clip of a training scene)
gets the same city from the same seed. Needs only numpy and pydantic.
"""
