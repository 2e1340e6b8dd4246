"""The settings, room by room: what each is called, its default, unit and meaning. `rag.settings` joins and loads them.

A new setting goes into the room of its subject; a new room is one more base of `rag.settings.Settings`.
"""
