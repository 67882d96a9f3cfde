"""Where coarse frames come from. Each source stands alone and imports its library when it is used.

`source.Source` is what they have in common.
"""
