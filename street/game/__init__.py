"""The sample game: a low-poly city block, drawn by Panda3D.

`game.Game` is the way in, and `film.film` for a take. Inside this folder `panda3d` always means the
installed package: every import is absolute, and files are run as modules, never as scripts.
"""
