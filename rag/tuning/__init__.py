"""Better encoders, rerankers and adapters from pairs of a question and what answers it.

A training makes an artefact: a folder of safetensors with a card that says what it was made of. Nothing here puts one
into service by itself: that takes an evaluation against what is in service (`librarian tune promote`).
"""
