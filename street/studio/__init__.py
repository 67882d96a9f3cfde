"""The fine clip of a take: photoreal-leaning frames by Blender Cycles, and the walking of people.

All modules run in the interpreter that has bpy, JuPedSim and numpy below 2; they import only these,
the standard library and `street.city`. There are two commands, `render_take` and `walk`. For the
first, `blender_scene` is the scene; `surface`, `buildings`, `grounds`, `cars`, `figures`,
`textures`, `panes`, `sky` and `climate` are arrays and know no bpy; `blender`, `nodes`,
`materials`, `light` and `cycles` put them into Blender; `geometry` casts rays;
`postprocess` and `image_files` finish a frame.
"""
