"""Real footage into clips to train on: `c2r data curate`.

A file goes through `decode` -> `scenes` -> `segments` (with `crop`) -> `quality` -> `caption`, all
in `one_file`; `processes` or `scale_out` (Ray) do that for many files, and `state` records which
are done. Imports nothing heavy.
"""
