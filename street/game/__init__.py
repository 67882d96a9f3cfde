"""The sample game: a low-poly city block, rendered by Panda3D.

Start with `game.Game`, or `record_take.record_take` for a take. Inside this folder `panda3d` always
means the installed package: imports are absolute, and files are run as modules, never as scripts.
"""
