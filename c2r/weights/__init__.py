"""Weights: find files, recognise their layout, load them into networks, save them, describe them.

`networks` loads each network in one call, `save` writes one, `info` describes a file. Below them:
`folders`, `hub` and `sources` open what a user names, `layouts` and `dit_names` know the names of
tensors, `load` fills a module and `match` compares shapes with the presets.
"""
