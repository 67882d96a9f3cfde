"""Weights: find files, recognise their layout, load them into networks, save and describe them.

`renderer` loads and saves a whole renderer, `networks` one network, `info` describes a file. Below
them: `folders`, `hub` and `sources` open the files, `layouts` and `dit_names` know tensor names,
`load` fills a module and `match` compares shapes with the presets.
"""
