"""Where rendered frames go: files, a window, a contact sheet.

A sink has `write(rgb, frame_id)` for [H, W, 3] uint8 in frame order, `close()`, and is a context
manager. Each module imports its library when it is used.
"""
