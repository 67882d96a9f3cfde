"""The sample game: a low-poly city block, drawn by Panda3D.

`game.Game` is the way in. Inside this folder `panda3d` always means the installed package: every
import is absolute, and no file here is run as a script.
"""
