"""The fine clip of a take: photoreal-leaning frames by Blender Cycles, and the walking of people.

All modules run in the interpreter that has bpy, JuPedSim and numpy below 2; they import only these,
the standard library and `street.city`. The commands are `render_take` and `walk`. For the
first, `blender_scene` is the scene; `surface`, `buildings`, `fittings`, `fronts`,
`grounds`, `cars`, `figures`, `textures`, `panes`, `signs`, `sky`, `sky_photos` and `climate` are
arrays and know no bpy; `blender`, `nodes`, `materials`, `rooms`, `sky_files`, `light` and `cycles`
put them into Blender; `fetch_skies` is a third command, run once; `geometry` casts rays;
`postprocess` and `image_files` finish a frame.
"""
