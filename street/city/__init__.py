"""A low-poly city as plain data: plans, meshes, people and cars in motion, cameras. No engine.

Whatever draws it (the sample game, the coarse and the fine film of a training scene) draws the
same city from the same seed. Only numpy and pydantic are needed.
"""
