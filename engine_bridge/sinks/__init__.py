"""Where pictures go. Each sink stands alone and imports its library when it is used.

`sink.Sink` is what they have in common; `side_by_side` and `contact_sheet` compose images.
"""
