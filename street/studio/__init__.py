"""The fine film: photoreal-leaning pictures of a take by Blender Cycles.

Everything here runs in the interpreter that has bpy and numpy below 2, and imports only these, the
standard library and `street.city`. Start with `fine`, the command, then `stage`, the scene. Arrays
(`surface`, `buildings`, `grounds`, `cars`, `figures`, `textures`, `panes`, `sky`, `climate`) know
no bpy; `blender`, `nodes`, `materials`, `light` and `shoot` put them into Blender; `weather` and
`develop` finish a picture.
"""
